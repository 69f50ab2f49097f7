from django.contrib import messages
from django.db import transaction
from django.urls import reverse_lazy
from django.views.generic import CreateView

from orders.models import Order, OutOfStockError
from orders.tasks import confirm


class OrderView(CreateView):
    """The latest orders, and a form for a new one."""

    model = Order
    fields = ("item", "quantity", "email")
    success_url = reverse_lazy("order")

    def get_context_data(self, **context):
        orders = Order.objects.select_related("item").order_by("-placed_at")[:10]
        return super().get_context_data(orders=orders, **context)

    def form_valid(self, form):
        try:
            with transaction.atomic():
                answer = super().form_valid(form)
                # Before it is known whether there is enough: it is sent when the transaction is committed, or never.
                confirm.delay_on_commit(self.object.pk)
                self.object.item.take(self.object.quantity)
        except OutOfStockError as error:
            self.object = None
            form.add_error("quantity", str(error))
            return self.form_invalid(form)
        messages.success(self.request, f"Order {self.object.pk} is placed.")
        return answer
