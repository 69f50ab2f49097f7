"""The reference service: users, posts and pictures, with Celery behind them. A team replaces it with its own app."""
