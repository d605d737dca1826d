//! Built-in roles. Roles of a shop's own come with the `/roles` resource.

/// A named set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    pub id: &'static str,
    pub name: &'static str,
    pub description: &'static str,
    pub permissions: &'static [&'static str],
}

pub const BUILT_IN_ROLES: [Role; 3] = [
    Role { id: "superadmin", name: "Superadmin", description: "May do everything.", permissions: &["*"] },
    Role {
        id: "catalog-manager",
        name: "Catalogue manager",
        description: "Keeps products and categories.",
        permissions: &["products:*", "categories:*"],
    },
    Role {
        id: "stock-manager",
        name: "Stock manager",
        description: "Keeps the stock, and sees all products.",
        permissions: &["inventory:*", "products:read"],
    },
];

/// The role with this id.
pub(super) fn find(id: &str) -> Option<&'static Role> {
    BUILT_IN_ROLES.iter().find(|role| role.id == id)
}

/// Everything that the roles allow, in order, without repetition. An unknown role allows nothing.
pub(super) fn permissions_of(roles: &[String]) -> Vec<String> {
    let mut permissions = Vec::new();
    for permission in roles.iter().filter_map(|id| find(id)).flat_map(|role| role.permissions) {
        if !permissions.iter().any(|known| known == permission) {
            permissions.push((*permission).to_owned());
        }
    }
    permissions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_those_of_all_known_roles() {
        let of =
            |roles: &[&str]| permissions_of(&roles.iter().map(|role| (*role).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["superadmin"]), ["*"]);
        assert_eq!(
            of(&["catalog-manager", "superadmin", "catalog-manager"]),
            ["products:*", "categories:*", "*"]
        );
        assert!(of(&["unknown"]).is_empty());
    }
}
