"""What schemathesis cannot read in an OpenAPI document, each with the reason.

An exception is as narrow as it can be: it names the operation, the code and the very sentence. A refusal that nothing
here explains fails the run.
"""

import itertools
import re

import schemathesis
from schemathesis.generation.meta import CoverageScenario
from schemathesis.openapi.checks import JsonSchemaError, RejectedPositiveData

# Rules about products that compare members with each other or with other documents, which no schema can. The tests in
# tests/it/catalogue hold the API to them.
PRODUCT = [
    r"^There is no category `",
    r"^`.*` occurs twice\.$",
    r"^The (option|SKU) `.*` occurs twice\.$",
    r"^`.*` is no variant of this product\.$",
    r"^`.*` is no option of the product\.$",
    r"^`.*` is no value of `.*`\.$",
    r"^A value for `.*` is missing\.$",
    r"^The variants \d+ and \d+ have the same option values\.$",
    # The list of currencies is a standard of its own; the document has the form of a code.
    r"^`.*` is no currency of ISO 4217\.$",
    r"^The price to compare with is above the amount\.$",
    r"^The end is after the start\.$",
    r"^Another price has the same currency, quantity, group and times\.$",
    r"^An active product has at least one variant\.$",
    r"^A product has at most \d+ variants\.$",
]
CATEGORY = [
    r"^There is no category `",
    r"^A tree has at most \d+ levels\.$",
]

# What holds for any document, wherever it has a free member or a text.
DOCUMENT = [
    # The names of members of `metadata` and `attributes`, at any depth. A schema that said so would be recursive, and
    # make a type that nobody can use of what is a plain object.
    r"^a member name (contains|starts with) ",
    # Of texts that are looked up. A pattern in each of them would hide what they are about.
    r"^must be a text without NUL$",
]

ADDRESS = [
    # 249 codes are no schema.
    r"^`.*` is no country of ISO 3166-1\.$",
    # A text of spaces.
    r"^It is empty\.$",
]

# Of two members one: a schema that said so would be a choice, of which client generators make nothing usable.
CART = [
    r"^An item has either a `variantId` or a `sku`\.$",
    r"^`.*` is no currency of ISO 4217\.$",
    # What is sold, and in which currencies, is data.
    r"^`.*` is not sold in ",
    r"^There is no variant ",
    r"^`.*` is not sold any more\.$",
    r"^There can be \d+ different variants in a cart\.$",
]
COUPON = [
    r"^The end is after the start\.$",
    r"^`.*` is no RFC 3339 time\.$",
]
# What an order is made of depends on who makes it, and on what the cart holds.
ORDER = CART + ADDRESS + [
    r"^An order is made of a cart\.$",
    r"^An order is made either of a cart or of items\.$",
    r"^A quote is of a cart\.$",
    r"^The cart says this\.$",
    r"^There is something to pay\.$",
    r"^It is not said where to send the goods\.$",
    r"^Only the staff may set this\.$",
    r"^It is no currency of ISO 4217\.$",
    r"^Without an account an order needs an e-mail address\.$",
    r"^There is no payment method `",
]
# What remains of an order is known by the order.
REMAINING = [
    r"^Nothing remains\.$",
    r"^An amount is above zero\.$",
    r"^There is no payment method `",
    r"^The order has no such (item|return)\.$",
    r"^Everything is packed\.$",
]
# Members of a placed order are about each other.
IMPORTED = ADDRESS + [
    r"^A completed order was sent\.$",
    r"^What was sent is ",
    r"^Nothing was sent\.$",
    r"^That is (more than was paid|in the future)\.$",
    r"^That is more than the (lines come|order came) to\.",
    r"^It is no (RFC 3339 time|currency of ISO 4217)\.$",
    r"^The codes in `coupons` get this name\.$",
    r"^The totals of the lines ",
    r"^The order comes to more than can be counted\.$",
]

ACCOUNT = ADDRESS + [
    # A pattern for addresses would refuse good ones or let bad ones in.
    r"^`.*` is not an email address\.$",
    # Lengths are of what is left without the spaces around it, and no pattern names all control characters.
    r"^A name has at most ",
    r"^A telephone number has at most ",
    # The document is the same for everybody.
    r"^The member `(kind|status|emailVerified|roles|groups)` is not for this caller to set\.$",
    r"^An account stays of the kind that it was made\.$",
    # Roles are data.
    r"^There is no role `",
    r"^A customer account cannot have roles\.$",
    r"^The password is longer than ",
]

# Sentences that may refuse what fits the schema, by operation.
RULES = {
    "createProduct": PRODUCT,
    "replaceProduct": PRODUCT,
    "updateProduct": PRODUCT,
    "createVariant": PRODUCT,
    "updateVariant": PRODUCT,
    "createCategory": CATEGORY,
    "replaceCategory": CATEGORY,
    "updateCategory": CATEGORY,
    "moveCategory": CATEGORY,
    "adjustInventory": [
        r"^No product has the SKU `",
        # A bound in the schema would make a plain `validation_failed` of what has a code of its own.
        r"^A delta is between ",
        r"^There are \d+ on hand, and at most ",
        # Reasons are words of the shop's own, but these two.
        r"^`(shipped|restocked)` is for movements that orders make\.$",
    ],
    "createCoupon": COUPON,
    "updateCoupon": COUPON,
    "createCart": CART,
    "addCartItem": CART,
    "replaceCartAddresses": ADDRESS,
    "createOrder": ORDER,
    "importOrder": IMPORTED,
    "payOrder": REMAINING,
    "capturePayment": REMAINING,
    "refundPayment": REMAINING,
    "createFulfillment": REMAINING,
    "createReturn": REMAINING,
    "replaceOrder": ADDRESS,
    "updateOrder": ADDRESS,
    # A configuration's schema is the plugin's, and not the document's.
    "configurePlugin": [r""],
    # Bytes that no provider signed.
    "receivePaymentWebhook": [r"^The provider does not understand it\.$"],
    "createUser": ACCOUNT,
    "replaceUser": ACCOUNT,
    "updateUser": ACCOUNT,
    "updateOwnUser": ACCOUNT,
    "createOwnAddress": ADDRESS,
    "replaceOwnAddress": ADDRESS,
    "updateOwnAddress": ADDRESS,
    # Which permissions there are depends on the plugins.
    "createRole": [r"^There is no such permission\.$"],
    "replaceRole": [r"^There is no such permission\.$"],
    "createApiKey": [r"^There is no such permission\.$"],
    # The token comes in the body or in a cookie.
    "logout": [r"^The member is required\.$"],
    "refreshSession": [r"^The member is required\.$"],
}

# Rules about parameters.
PARAMETERS = [
    # OpenAPI cannot say that two parameters exclude each other.
    r"^Either `cursor` or `offset`, not both\.$",
    # A pattern cannot say that no name is there twice.
    r"^At most 5 fields, each once\.$",
    r"^`.*` is no currency of ISO 4217\.$",
    # Which currencies a shop lists by is its configuration.
    r"^Lists are not filtered or sorted by prices in ",
    # So it is for every parameter; a pattern in each of them would hide what they are about.
    r"^The query string holds NUL\.$",
    # Who has no account must say which address an order was made with.
    r"^Give the e-mail address that the order was made with\.$",
    # Of two times the first comes first, and not years before.
    r"^A period (ends|has) ",
]


def sentences(problem):
    return [error["message"] for error in problem.get("errors", [])] or [problem.get("detail", "")]


def all_known(found, known):
    return bool(found) and all(any(re.search(rule, text, re.DOTALL) for rule in known) for text in found)


def refused_by_a_known_rule(case, response):
    problem = response.json()
    operation = case.operation.definition.raw.get("operationId")
    match problem.get("code"):
        # A cursor is opaque: only the server makes one, and for one query only.
        case "cursor_mismatch":
            return "cursor" in (case.query or {})
        case "invalid_parameter":
            return all_known(sentences(problem), PARAMETERS)
        case "unknown_field" if operation == "configurePlugin":
            return True
        case "validation_failed" | "amount_out_of_range":
            return all_known(sentences(problem), DOCUMENT + RULES.get(operation, []))
    return False


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether a failure counts."""
    if isinstance(failure, RejectedPositiveData):
        return not refused_by_a_known_rule(case, response)
    if isinstance(failure, JsonSchemaError) and response.status_code == 200 and "fields" in (case.query or {}):
        # `fields` leaves required members out, because it was asked to. A schema cannot depend on a parameter.
        return "is a required property" not in failure.message
    return True


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Members that are `readOnly` are ignored in a request, whatever they are, so that what was read can be sent back
    (API §1). Schemathesis would take them for forbidden, so here they are anything."""
    seen = set()
    for item in raw_schema["paths"].values():
        for operation in item.values():
            for media in operation.get("requestBody", {}).get("content", {}).values():
                allow_read_only(media["schema"], raw_schema, seen)


def allow_read_only(schema, document, seen):
    if isinstance(schema, list):
        for branch in schema:
            allow_read_only(branch, document, seen)
    if not isinstance(schema, dict):
        return
    reference = schema.get("$ref")
    if reference is not None and reference not in seen:
        seen.add(reference)
        allow_read_only(document["components"]["schemas"][reference.rsplit("/", 1)[1]], document, seen)
    for name, member in schema.get("properties", {}).items():
        if isinstance(member, dict) and member.get("readOnly"):
            schema["properties"][name] = {}
        else:
            allow_read_only(member, document, seen)
    for keyword in ("items", "allOf", "anyOf", "oneOf", "if", "then"):
        allow_read_only(schema.get(keyword), document, seen)


KEYS = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Puts right what makes good requests bad."""
    data = case.meta and case.meta.phase.data
    if data is None or getattr(data, "scenario", None) is CoverageScenario.MISSING_PARAMETER:
        return
    key = case.headers.get("Idempotency-Key")
    if key is not None and re.fullmatch(r"[!-~]{1,255}", key):
        # A key belongs to one request. Schemathesis sends the same with many, which is 422 in principle.
        case.headers["Idempotency-Key"] = f"{next(KEYS):032x}"
    if case.headers.get("If-Match") == "0" and getattr(data, "parameter", None) != "If-Match":
        # The coverage phase puts this bad tag into requests that are about something else, good ones included, and
        # none of them would get further than this header.
        del case.headers["If-Match"]
