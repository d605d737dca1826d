//! Filters, between the tree of the host and the list of the guest.

use store_model::{Filter, Scalar};

use super::convert::{invalid, scalar, scalar_to_guest};
use crate::plugin::bindings::wares::store::{
    query::{self, Node},
    store,
};

/// A guest's filter: a list whose nodes name earlier ones, each at most once, so that it is a tree and no small list
/// unfolds into a large one.
pub(super) fn from_guest(filter: Option<query::Filter>) -> Result<Filter, store::Error> {
    let Some(filter) = filter else { return Ok(Filter::all()) };
    if filter.nodes.is_empty() || filter.nodes.len() > store_model::filter::FILTER_NODES {
        return Err(invalid("", format!("a filter has 1 to {} nodes", store_model::filter::FILTER_NODES)));
    }
    let mut built: Vec<Option<Filter>> = Vec::with_capacity(filter.nodes.len());
    for node in filter.nodes {
        let mut children = |ids: Vec<u32>| -> Result<Vec<Filter>, store::Error> {
            ids.into_iter()
                .map(|id| {
                    built
                        .get_mut(id as usize)
                        .and_then(Option::take)
                        .ok_or_else(|| invalid("", "a filter node names a later or an already used node"))
                })
                .collect()
        };
        let next = match node {
            Node::Eq(it) => Filter::Eq(it.path, scalar(it.value)),
            Node::Ne(it) => Filter::Ne(it.path, scalar(it.value)),
            Node::In(it) => Filter::In(it.path, it.values.into_iter().map(scalar).collect()),
            Node::Nin(it) => Filter::Nin(it.path, it.values.into_iter().map(scalar).collect()),
            Node::Gt(it) => Filter::Gt(it.path, scalar(it.value)),
            Node::Gte(it) => Filter::Gte(it.path, scalar(it.value)),
            Node::Lt(it) => Filter::Lt(it.path, scalar(it.value)),
            Node::Lte(it) => Filter::Lte(it.path, scalar(it.value)),
            Node::Prefix(it) => Filter::Prefix(it.path, it.text),
            Node::Contains(it) => Filter::Contains(it.path, it.text),
            Node::Exists(it) => Filter::Exists(it.path, it.present),
            Node::AllOf(ids) => Filter::And(children(ids)?),
            Node::AnyOf(ids) => Filter::Or(children(ids)?),
            Node::NoneOf(ids) => Filter::Not(Box::new(Filter::Or(children(ids)?))),
        };
        built.push(Some(next));
    }
    built.pop().flatten().ok_or_else(|| invalid("", "a filter has a root"))
}

/// A filter of the host's making, as the guest takes it: children before parents.
pub(in crate::plugin) fn to_guest(filter: Filter) -> query::Filter {
    let mut nodes = Vec::new();
    push_node(filter, &mut nodes);
    query::Filter { nodes }
}

fn push_node(filter: Filter, nodes: &mut Vec<Node>) -> u32 {
    let comparison = |path, value| query::Comparison { path, value: scalar_to_guest(value) };
    let membership = |path, values: Vec<Scalar>| query::Membership {
        path,
        values: values.into_iter().map(scalar_to_guest).collect(),
    };
    let node = match filter {
        Filter::Eq(path, value) => Node::Eq(comparison(path, value)),
        Filter::Ne(path, value) => Node::Ne(comparison(path, value)),
        Filter::In(path, values) => Node::In(membership(path, values)),
        Filter::Nin(path, values) => Node::Nin(membership(path, values)),
        Filter::Gt(path, value) => Node::Gt(comparison(path, value)),
        Filter::Gte(path, value) => Node::Gte(comparison(path, value)),
        Filter::Lt(path, value) => Node::Lt(comparison(path, value)),
        Filter::Lte(path, value) => Node::Lte(comparison(path, value)),
        Filter::Prefix(path, text) => Node::Prefix(query::Substring { path, text }),
        Filter::Contains(path, text) => Node::Contains(query::Substring { path, text }),
        Filter::Exists(path, present) => Node::Exists(query::Existence { path, present }),
        Filter::And(all) => Node::AllOf(all.into_iter().map(|child| push_node(child, nodes)).collect()),
        Filter::Or(any) => Node::AnyOf(any.into_iter().map(|child| push_node(child, nodes)).collect()),
        Filter::Not(child) => Node::NoneOf(vec![push_node(*child, nodes)]),
    };
    nodes.push(node);
    u32::try_from(nodes.len() - 1).unwrap_or(u32::MAX)
}
