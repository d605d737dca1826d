//! Permissions: `resource:action`.

use serde::Serialize;

/// A permission that exists, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownPermission {
    pub name: String,
    pub description: String,
    /// The plugin that asks for it; nothing for the host's own.
    pub plugin_id: Option<String>,
}

/// The permissions of the host's own operations.
const HOST_PERMISSIONS: [(&str, &str); 7] = [
    ("apikeys:read", "See service accounts' keys"),
    ("apikeys:write", "Make and delete service accounts' keys"),
    ("audit:read", "Read the audit log"),
    ("plugins:read", "See plugins and their configuration"),
    ("plugins:write", "Configure plugins"),
    ("roles:read", "See roles and permissions"),
    ("roles:write", "Make, change and delete roles"),
];

/// The host's own permissions.
pub fn host_permissions() -> impl Iterator<Item = KnownPermission> {
    HOST_PERMISSIONS.into_iter().map(|(name, description)| KnownPermission {
        name: name.to_owned(),
        description: description.to_owned(),
        plugin_id: None,
    })
}

/// Whether a text is a permission that exists, all of a resource that exists, or everything.
pub(super) fn is_known(text: &str, known: &[KnownPermission]) -> bool {
    let resource = text.strip_suffix(":*");
    text == "*"
        || known.iter().any(|known| {
            known.name == text
                || resource.is_some_and(|resource| {
                    known.name.split_once(':').is_some_and(|(own, _)| own == resource)
                })
        })
}

/// Whether any of the held permissions covers the wanted one: the same, `resource:*`, or `*`.
pub fn allows(held: &[String], wanted: &str) -> bool {
    held.iter().any(|held| held == "*" || held == wanted || covers_resource(held, wanted))
}

/// `products:*` covers `products:write`, not `products` and not `products-old:write`.
fn covers_resource(held: &str, wanted: &str) -> bool {
    match (held.strip_suffix(":*"), wanted.split_once(':')) {
        (Some(held), Some((resource, _))) => held == resource,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(permissions: &[&str], wanted: &str) -> bool {
        allows(&permissions.iter().map(|permission| (*permission).to_owned()).collect::<Vec<_>>(), wanted)
    }

    #[test]
    fn a_permission_is_covered_by_itself_its_resource_or_everything() {
        assert!(held(&["products:write"], "products:write"));
        assert!(held(&["orders:read", "products:*"], "products:write"));
        assert!(held(&["*"], "products:write"));
    }

    #[test]
    fn anything_else_covers_nothing() {
        assert!(!held(&[], "products:write"));
        assert!(!held(&["products:read"], "products:write"));
        assert!(!held(&["product:*"], "products:write"));
        assert!(!held(&["products-old:*"], "products:write"));
        assert!(!held(&["products:*"], "products"));
        assert!(!held(&["*:write", "products:", ":*", ""], "products:write"));
        assert!(!held(&["products:write"], "products:*"));
    }
}
