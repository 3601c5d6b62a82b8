"""The hosted pages of the double: payment, and the customer portal."""

from html import escape

from conducto_emulator.stripe_double.account import Json

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 30rem }}
body {{ margin: 3rem auto; padding: 0 1rem }}
label, button, input {{ display: block; width: 100%; box-sizing: border-box; margin: .5rem 0 }}
input, button {{ font: inherit; padding: .6rem; border-radius: .4rem; border: 1px solid #888 }}
button {{ background: #4b3fd8; color: #fff; border: 0; cursor: pointer }}
small {{ color: #666 }}
table {{ width: 100%; text-align: left }}
</style>
<p><small>Double of Stripe, test mode: no card is charged.</small>
<h1>{title}</h1>
{body}
</html>"""


def payment(session: Json) -> str:
    """Return the page on which a customer enters a card."""
    return _page(
        "Subscribe to Conducto",
        f"""<form method="post">
<label>Email <input name="email" type="email" required value="owner@example.com"></label>
<label>Card number
<input name="card" inputmode="numeric" required value="4242 4242 4242 4242"></label>
<button>Subscribe</button>
</form>
<p><a href="{escape(session["cancel_url"], quote=True)}">Cancel</a>""",
    )


def portal(session: Json, subscriptions: list[Json], invoices: list[Json]) -> str:
    """Return the page with a customer's subscription and invoices."""
    cancel = "".join(
        f'<form method="post"><button name="cancel" value="{each["id"]}">Cancel subscription'
        "</button></form>"
        for each in subscriptions
        if each["status"] in ("active", "past_due", "trialing", "unpaid")
    )
    rows = "".join(
        f"<tr><td>{each['id']}<td>{each['status']}<td>${each['amount_due'] / 100:,.2f}"
        for each in invoices
    )
    return _page(
        "Billing",
        f"""<p>Subscription: {", ".join(each["status"] for each in subscriptions) or "none"}
<form method="post">
<label>Card number <input name="card" inputmode="numeric" required></label>
<button>Update card and pay open invoices</button>
</form>
{cancel}
<h2>Invoices</h2><table>{rows}</table>
<p><a href="{escape(session["return_url"], quote=True)}">Return to Conducto</a>""",
    )


def _page(title: str, body: str) -> str:
    return _PAGE.format(title=escape(title), body=body)
