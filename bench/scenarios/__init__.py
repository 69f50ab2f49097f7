"""What is measured: each module measures one thing of one variant, once."""
