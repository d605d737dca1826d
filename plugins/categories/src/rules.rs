//! Where a category may be, and what becomes of a product's references. Pure: values in, values out.

use plugin_sdk::{FieldError, Problem};

use crate::model::CategoryAncestor;

/// Most levels of a tree. It bounds the work of a read, which looks up the ancestors level by level.
pub const LEVELS_MAX: usize = 10;

/// Whether the category `id` with `levels_below` levels under it may be at the end of `path`.
pub fn check_place(id: &str, path: &[CategoryAncestor], levels_below: usize) -> Result<(), Problem> {
    if path.iter().any(|ancestor| ancestor.id == id) {
        let mut problem = Problem::new(409, "category_cycle").detail("A category cannot be below itself.");
        let message = "This is the category itself, or one below it.";
        problem.errors.push(FieldError::new("/parentId", "category_cycle", message));
        return Err(problem);
    }
    if path.len() + 1 + levels_below > LEVELS_MAX {
        let message = format!("A tree has at most {LEVELS_MAX} levels.");
        return Err(Problem::validation(vec![FieldError::invalid("/parentId", message)]));
    }
    Ok(())
}

/// There is no category to be in.
pub fn no_such_parent(id: &str) -> FieldError {
    FieldError::invalid("/parentId", format!("There is no category `{id}`."))
}

/// Why a category stays: it has children or products.
pub fn not_empty(children: u64, products: u64) -> Problem {
    Problem::new(409, "category_not_empty")
        .detail("The category has children or products. `strategy=reparent` gives them to its parent.")
        .extra("children", children)
        .extra("products", products)
}

/// A product's categories when `gone` is replaced by its parent, in place and without a repetition.
pub fn reparented(category_ids: &[String], gone: &str, parent: Option<&str>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(category_ids.len());
    for id in category_ids {
        let id = if id == gone { parent } else { Some(id.as_str()) };
        if let Some(id) = id
            && !kept.iter().any(|other| other == id)
        {
            kept.push(id.to_owned());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(ids: &[&str]) -> Vec<CategoryAncestor> {
        let ancestor = |id: &&str| CategoryAncestor {
            id: (*id).to_owned(),
            slug: (*id).to_owned(),
            name: String::new(),
        };
        ids.iter().map(ancestor).collect()
    }

    #[test]
    fn a_category_is_never_below_itself() {
        for (below, fine) in
            [(&["a", "b"][..], true), (&["x"], false), (&["a", "x", "b"], false), (&[], true)]
        {
            let answer = check_place("x", &path(below), 0);
            assert_eq!(answer.is_ok(), fine, "{below:?}");
            if let Err(problem) = answer {
                assert_eq!((problem.status, problem.code.as_str()), (409, "category_cycle"));
                assert_eq!(problem.errors[0].pointer, "/parentId");
            }
        }
    }

    #[test]
    fn the_levels_below_count() {
        let nine = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
        assert!(check_place("x", &path(&nine), 0).is_ok());
        assert!(check_place("x", &path(&nine[1..]), 1).is_ok());
        assert_eq!(check_place("x", &path(&nine), 1).unwrap_err().code, "validation_failed");
    }

    #[test]
    fn references_move_to_the_parent_in_place() {
        let cases: [(&[&str], Option<&str>, &[&str]); 5] = [
            (&["a", "x", "b"], Some("p"), &["a", "p", "b"]),
            (&["p", "x"], Some("p"), &["p"]),
            (&["x", "p"], Some("p"), &["p"]),
            (&["x"], None, &[]),
            (&["a"], Some("p"), &["a"]),
        ];
        for (before, parent, after) in cases {
            let before: Vec<String> = before.iter().map(|id| (*id).to_owned()).collect();
            assert_eq!(reparented(&before, "x", parent), after, "{before:?}");
        }
    }
}
