//! Permissions: `resource:action`.

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
