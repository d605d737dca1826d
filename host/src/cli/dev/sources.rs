//! Which plugins a changed file belongs to.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Component, Path},
};

/// What has to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Changed {
    /// These plugins, by the name of their folder; maybe none.
    Plugins(BTreeSet<String>),
    /// Something that every plugin is made of.
    All,
}

impl Changed {
    /// What a change of a file means; the path is relative to the repository.
    pub(super) fn of(path: &Path) -> Self {
        let parts: Vec<&str> = path
            .components()
            .filter_map(|part| match part {
                Component::Normal(name) => name.to_str(),
                _ => None,
            })
            .collect();
        match parts.as_slice() {
            // Editors write swap files beside the source.
            [.., file] if file.starts_with('.') || file.ends_with('~') => Self::nothing(),
            ["plugins", name, "src", ..] | ["plugins", name, "Cargo.toml"] => {
                Self::Plugins(BTreeSet::from([(*name).to_owned()]))
            }
            ["plugin-sdk" | "store-model", "src", ..] | ["wit", ..] => Self::All,
            _ => Self::nothing(),
        }
    }

    pub(super) fn nothing() -> Self {
        Self::Plugins(BTreeSet::new())
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Plugins(names) if names.is_empty())
    }

    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Plugins(mut names), Self::Plugins(more)) => {
                names.extend(more);
                Self::Plugins(names)
            }
            _ => Self::All,
        }
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => formatter.write_str("all plugins"),
            Self::Plugins(names) => {
                formatter.write_str(&names.iter().cloned().collect::<Vec<_>>().join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_its_plugin_or_to_all() {
        let of = |path: &str| Changed::of(Path::new(path)).to_string();
        assert_eq!(of("plugins/products/src/rules/price.rs"), "products");
        assert_eq!(of("plugins/products/Cargo.toml"), "products");
        assert_eq!(of("plugin-sdk/src/lib.rs"), "all plugins");
        assert_eq!(of("wit/deps/store/store.wit"), "all plugins");
        for ignored in [
            "plugins/products/README.md",
            "plugins/products/src/.rules.rs.swp",
            "host/src/lib.rs",
            "plugins",
            "",
        ] {
            assert!(Changed::of(Path::new(ignored)).is_nothing(), "{ignored}");
        }
    }

    #[test]
    fn changes_add_up() {
        let plugin = |name: &str| Changed::of(&Path::new("plugins").join(name).join("src/lib.rs"));
        assert_eq!(plugin("b").and(plugin("a")).and(plugin("b")).to_string(), "a, b");
        assert_eq!(plugin("a").and(Changed::All), Changed::All);
        assert!(Changed::nothing().and(Changed::nothing()).is_nothing());
    }
}
