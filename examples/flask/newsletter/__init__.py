from celery import Celery, Task
from flask import Flask


def create_app() -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(
        CELERY={
            "broker_url": "redis://127.0.0.1:6379/0",
            "result_backend": "redis://127.0.0.1:6379/0",
            "task_default_queue": "default",
            "task_routes": {"newsletter.tasks.deliver": {"queue": "mail"}},
        },
        SENDER="Newsletter",
    )
    app.config.from_prefixed_env()
    celery_init_app(app)

    from newsletter import views

    app.register_blueprint(views.blueprint)
    return app


def celery_init_app(app: Flask) -> Celery:
    class FlaskTask(Task):
        def __call__(self, *args: object, **kwargs: object) -> object:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery_app = Celery(app.name, task_cls=FlaskTask)
    celery_app.config_from_object(app.config["CELERY"])
    celery_app.set_default()
    app.extensions["celery"] = celery_app
    return celery_app
