"""Networks: the front that scales responses, the body, and the head that answers."""
