from django.db import migrations


def add_items(apps, schema_editor):
    apps.get_model("orders", "Item").objects.get_or_create(name="Tea", defaults={"stock": 1000})


class Migration(migrations.Migration):
    dependencies = [("orders", "0001_initial")]
    operations = [migrations.RunPython(add_items, migrations.RunPython.noop)]
