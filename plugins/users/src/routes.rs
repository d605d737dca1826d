//! What the routes are and how they are documented.

use plugin_sdk::{Router, Value, identity::ACCOUNTS, json};

use crate::{
    addresses, handlers,
    model::{AddressInput, Registration, SavedAddress, User, UserExport, UserInput},
};

/// Fields that lists may be filtered by.
const FILTERS: &[&str] = &[
    "id",
    "kind",
    "email",
    "name",
    "phone",
    "status",
    "emailVerified",
    "groups",
    "roles",
    "acceptsMarketing",
    "createdAt",
    "lastLoginAt",
];

/// Fields that lists may be sorted by.
const SORTS: &[&str] = &["id", "email", "name", "kind", "createdAt", "lastLoginAt"];

/// Codes that replacing and changing have in common.
const CHANGE_ERRORS: &[&str] = &[
    "not_found",
    "version_conflict",
    "already_exists",
    "conflict",
    "forbidden",
    "validation_failed",
    "unknown_field",
    "unavailable",
];

/// Codes that writing an address has in common.
const ADDRESS_ERRORS: &[&str] =
    &["not_found", "version_conflict", "conflict", "validation_failed", "unknown_field", "unavailable"];

pub(crate) fn users(router: &mut Router) {
    router
        .get("/users", "listUsers", handlers::list)
        .summary("List users")
        .description(
            "Customers and staff. `q` searches names, e-mail addresses and telephone numbers; \
             `filter[groups][eq]=wholesale` gives a group, `filter[kind][eq]=admin` the staff.",
        )
        .permission("users:read")
        .list(ACCOUNTS, FILTERS, SORTS, true)
        .returns::<Vec<User>>(200, "A page of users.")
        .example(|| json!([user()]))
        .errors(&["cursor_mismatch", "unavailable"]);
    router
        .post("/users", "createUser", handlers::create)
        .summary("Register a customer, or create a user")
        .description(
            "Anybody may register as a customer. Staff with `users:write` may set the other members too, and so make \
             staff: nobody gives a role that allows what they may not do. The address is not verified yet; \
             `POST /auth/email/verification` sends the mail for it.",
        )
        .public()
        .body::<Registration>()
        .example(registration)
        .password()
        .returns::<User>(201, "The user, created.")
        .example(user)
        .errors(&[
            "already_exists",
            "conflict",
            "forbidden",
            "rate_limited",
            "validation_failed",
            "unknown_field",
            "unavailable",
        ]);
    router
        .get("/users/{id}", "getUser", handlers::read)
        .summary("Read a user")
        .description("Customers see themselves only.")
        .customer()
        .permission("users:read")
        .path_param("id", "The user's id.")
        .returns::<User>(200, "The user.")
        .example(user)
        .errors(&["not_found", "unavailable"]);
    router
        .put("/users/{id}", "replaceUser", handlers::replace)
        .summary("Replace a user")
        .description(
            "Replaces what is said of a person. `kind`, `status`, `emailVerified`, `roles` and `groups` stay as they are \
             where they are absent; only staff may change them.",
        )
        .customer()
        .permission("users:write")
        .path_param("id", "The user's id.")
        .body::<UserInput>()
        .example(input)
        .returns::<User>(200, "The user, replaced.")
        .example(user)
        .errors(CHANGE_ERRORS)
        .serialized_by("id");
    router
        .patch("/users/{id}", "updateUser", handlers::patch)
        .summary("Change a user")
        .description(
            "A JSON Merge Patch. `{\"status\": \"disabled\"}` ends all sessions. Customers change themselves only, and \
             not what they may do. Staff do not change who may do more than they.",
        )
        .customer()
        .permission("users:write")
        .path_param("id", "The user's id.")
        .merge_patch::<UserInput>()
        .example(|| json!({"groups": ["wholesale"]}))
        .returns::<User>(200, "The user, changed.")
        .example(user)
        .errors(CHANGE_ERRORS)
        .serialized_by("id");
    router
        .delete("/users/{id}", "deleteUser", handlers::delete)
        .summary("Delete a user")
        .description(
            "Deletes everything that names the person: account, profile, addresses, sessions and tokens. What the person \
             bought stays as figures under an id that leads nowhere. An answer that was stored under an idempotency key \
             stays for its 24 hours. Customers delete themselves only.",
        )
        .customer()
        .permission("users:write")
        .path_param("id", "The user's id.")
        .returns_empty(204, "The user, deleted.")
        .errors(&["not_found", "version_conflict", "conflict", "forbidden", "unavailable"])
        .serialized_by("id");
    router
        .get("/users/{id}/export", "exportUser", handlers::export)
        .summary("Export what is kept of a user")
        .description("Everything that the shop knows of the person, as the law lets them ask for it.")
        .permission("users:read")
        .path_param("id", "The user's id.")
        .returns::<UserExport>(200, "The data.")
        .example(export)
        .errors(&["not_found", "unavailable"]);
}

pub(crate) fn own(router: &mut Router) {
    router
        .get("/users/me", "getOwnUser", handlers::read)
        .summary("Read oneself")
        .description("The customer behind the token. Staff read `GET /auth/me`.")
        .customer()
        .returns::<User>(200, "The customer.")
        .example(user)
        .errors(&["not_found", "unavailable"]);
    router
        .patch("/users/me", "updateOwnUser", handlers::patch)
        .summary("Change oneself")
        .description(
            "A JSON Merge Patch. Members that only staff may set can be sent back as they are and not be changed.",
        )
        .customer()
        .merge_patch::<UserInput>()
        .example(|| json!({"phone": "+49 431 123456"}))
        .returns::<User>(200, "The customer, changed.")
        .example(user)
        .errors(CHANGE_ERRORS)
        .serialized_by_caller();
    router
        .get("/users/me/export", "exportOwnUser", handlers::export)
        .summary("Export what is kept of oneself")
        .description("Everything that the shop knows of the customer.")
        .customer()
        .returns::<UserExport>(200, "The data.")
        .example(export)
        .errors(&["not_found", "unavailable"]);
}

pub(crate) fn addresses(router: &mut Router) {
    router
        .get("/users/me/addresses", "listOwnAddresses", addresses::list)
        .summary("List own addresses")
        .description(
            "In the order in which they were saved; at most 50. Addresses share their user's version.",
        )
        .customer()
        .returns::<Vec<SavedAddress>>(200, "The addresses.")
        .example(|| json!([address()]))
        .errors(&["not_found", "unavailable"]);
    router
        .post("/users/me/addresses", "createOwnAddress", addresses::create)
        .summary("Save an address")
        .description("At most 50. Parallel calls all take effect.")
        .customer()
        .body::<AddressInput>()
        .example(address_input)
        .returns::<SavedAddress>(201, "The address, saved.")
        .example(address)
        .errors(ADDRESS_ERRORS)
        .serialized_by_caller();
    router
        .get("/users/me/addresses/{addressId}", "getOwnAddress", addresses::read)
        .summary("Read an own address")
        .description("An address has its user's version.")
        .customer()
        .path_param("addressId", "The address's id.")
        .returns::<SavedAddress>(200, "The address.")
        .example(address)
        .errors(&["not_found", "unavailable"]);
    router
        .put("/users/me/addresses/{addressId}", "replaceOwnAddress", addresses::replace)
        .summary("Replace an own address")
        .description("Replaces all members.")
        .customer()
        .path_param("addressId", "The address's id.")
        .body::<AddressInput>()
        .example(address_input)
        .returns::<SavedAddress>(200, "The address, replaced.")
        .example(address)
        .errors(ADDRESS_ERRORS)
        .serialized_by_caller();
    router
        .patch("/users/me/addresses/{addressId}", "updateOwnAddress", addresses::patch)
        .summary("Change an own address")
        .description("A JSON Merge Patch.")
        .customer()
        .path_param("addressId", "The address's id.")
        .merge_patch::<AddressInput>()
        .example(|| json!({"line2": "2nd floor"}))
        .returns::<SavedAddress>(200, "The address, changed.")
        .example(address)
        .errors(ADDRESS_ERRORS)
        .serialized_by_caller();
    router
        .delete("/users/me/addresses/{addressId}", "deleteOwnAddress", addresses::delete)
        .summary("Delete an own address")
        .description("Orders keep the addresses that they were sent to.")
        .customer()
        .path_param("addressId", "The address's id.")
        .returns_empty(204, "The address, deleted.")
        .errors(&["not_found", "version_conflict", "conflict", "unavailable"])
        .serialized_by_caller();
}

fn user() -> Value {
    json!({
        "id": "usr_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "kind": "customer",
        "email": "ada@example.com",
        "name": "Ada Lovelace",
        "phone": "+44 20 7946 0000",
        "status": "active",
        "emailVerified": true,
        "groups": ["wholesale"],
        "roles": [],
        "acceptsMarketing": false,
        "metadata": {},
        "version": 3,
        "createdAt": "2026-11-23T09:00:00.000Z",
        "updatedAt": "2026-11-23T09:30:00.000Z",
        "lastLoginAt": "2026-11-23T10:00:00.000Z",
    })
}

fn registration() -> Value {
    json!({"email": "ada@example.com", "password": "correct horse battery staple", "name": "Ada Lovelace"})
}

fn input() -> Value {
    json!({"email": "ada@example.com", "name": "Ada Lovelace", "phone": "+44 20 7946 0000"})
}

fn address_input() -> Value {
    json!({
        "name": "Ada Lovelace",
        "line1": "12 St James's Square",
        "city": "London",
        "postalCode": "SW1Y 4LB",
        "country": "GB",
    })
}

fn address() -> Value {
    json!({
        "id": "adr_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
        "name": "Ada Lovelace",
        "line1": "12 St James's Square",
        "line2": null,
        "city": "London",
        "region": null,
        "postalCode": "SW1Y 4LB",
        "country": "GB",
        "phone": null,
    })
}

fn export() -> Value {
    json!({
        "exportedAt": "2026-11-23T10:05:00.000Z",
        "user": user(),
        "addresses": [address()],
        "sessions": [{
            "id": "ses_01KAQ3V8Q1W2E3R4T5Y6V7A8S9",
            "createdAt": "2026-11-23T10:00:00.000Z",
            "lastSeenAt": "2026-11-23T10:00:00.000Z",
            "expiresAt": "2026-12-23T10:00:00.000Z",
            "userAgent": "Mozilla/5.0",
            "address": "192.0.2.1",
        }],
    })
}
