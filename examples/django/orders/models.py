from django.core.validators import MinValueValidator
from django.db import models


class OutOfStockError(Exception):
    """More was ordered than there is."""


class Item(models.Model):
    name = models.CharField(max_length=80, unique=True)
    stock = models.PositiveIntegerField(default=0)

    def __str__(self):
        return self.name

    def take(self, quantity):
        """Take `quantity` out of the stock; raises OutOfStockError."""
        if not Item.objects.filter(pk=self.pk, stock__gte=quantity).update(stock=models.F("stock") - quantity):
            raise OutOfStockError(f"There are less than {quantity} of {self.name}.")


class Order(models.Model):
    class State(models.TextChoices):
        PLACED = "placed"
        CONFIRMED = "confirmed"

    item = models.ForeignKey(Item, on_delete=models.PROTECT)
    quantity = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    email = models.EmailField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.PLACED)
    placed_at = models.DateTimeField(auto_now_add=True)

    def __str__(self):
        return f"{self.quantity} x {self.item} for {self.email}"
