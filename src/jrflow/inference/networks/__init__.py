"""Networks: a front that scales responses, a body, and a head that gives the estimates."""
