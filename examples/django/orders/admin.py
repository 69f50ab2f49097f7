from django.contrib import admin

from orders.models import Item, Order


@admin.register(Item)
class ItemAdmin(admin.ModelAdmin):
    list_display = ("name", "stock")


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    list_display = ("item", "quantity", "email", "state", "placed_at")
    list_filter = ("state",)
