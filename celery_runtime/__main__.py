from celery_runtime.cli import main

raise SystemExit(main())
