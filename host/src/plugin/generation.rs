//! A generation: all loaded plugins with their routes, immutable.
//!
//! A request takes the current generation once and uses it to the end, so it never sees a mix of two.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Map, Value};
use store_model::{CollectionSchema, FieldKind};

use crate::identity;

use super::{
    call::LoadedPlugin,
    descriptor::{Hook, Location, Route},
    schema_check::{BodyCheck, ParamCheck, check_schema},
};

/// All loaded plugins and what they answer.
pub struct Generation {
    /// Counts up with every swap of this process.
    pub id: u64,
    pub plugins: BTreeMap<String, Arc<LoadedPlugin>>,
    pub(super) hooks: HookChains,
    routes: matchit::Router<Vec<Arc<RouteEntry>>>,
}

/// Who answers which hook, in the order in which they are asked.
#[derive(Default)]
pub(super) struct HookChains {
    chains: BTreeMap<Hook, Vec<Arc<LoadedPlugin>>>,
}

impl HookChains {
    fn new(plugins: &BTreeMap<String, Arc<LoadedPlugin>>) -> Self {
        let mut chains: BTreeMap<Hook, Vec<Arc<LoadedPlugin>>> = BTreeMap::new();
        for plugin in plugins.values() {
            for hook in plugin.prepared.hooks() {
                chains.entry(hook).or_default().push(plugin.clone());
            }
        }
        for (hook, chain) in &mut chains {
            // Of equal ones the id decides: that is the order in which they come.
            chain.sort_by_key(|plugin| plugin.hook(*hook).priority);
        }
        Self { chains }
    }

    /// The plugins of a hook.
    pub(super) fn of(&self, hook: Hook) -> &[Arc<LoadedPlugin>] {
        self.chains.get(&hook).map(Vec::as_slice).unwrap_or_default()
    }
}

/// A route with everything needed to check a request against it.
pub struct RouteEntry {
    pub plugin: Arc<LoadedPlugin>,
    pub route: Route,
    pub body: Option<BodyCheck>,
    pub query: Vec<ParamCheck>,
    pub headers: Vec<ParamCheck>,
    /// The members of the resources that the route reads, when its schema names them.
    pub members: Option<BTreeSet<String>>,
    /// For list routes, the kinds of the fields that clients may name.
    pub list_fields: BTreeMap<String, FieldKind>,
}

/// Where a path leads.
pub enum Lookup {
    Found {
        entry: Arc<RouteEntry>,
        params: Vec<(String, String)>,
    },
    /// The path exists with these other methods.
    MethodNotAllowed(Vec<String>),
    NotFound,
}

/// Why plugins do not fit together. `plugin` is the one to leave out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct GenerationError {
    pub plugin: String,
    pub message: String,
}

impl Generation {
    /// The generation before any plugin is loaded.
    pub fn empty() -> Self {
        Self { id: 0, plugins: BTreeMap::new(), hooks: HookChains::default(), routes: matchit::Router::new() }
    }

    /// Checks the plugins against each other and builds the route table. Where two claim the same, the one that comes
    /// first in `order` has it.
    ///
    /// # Errors
    /// The first plugin that does not fit with those before it.
    pub fn build(
        id: u64,
        plugins: BTreeMap<String, Arc<LoadedPlugin>>,
        order: &[String],
    ) -> Result<Self, GenerationError> {
        let ordered: Vec<(&String, &Arc<LoadedPlugin>)> =
            order.iter().filter_map(|id| plugins.get_key_value(id)).collect();
        let mut operations: BTreeMap<String, String> = BTreeMap::new();
        let mut schemas: BTreeMap<String, (String, Value)> = BTreeMap::new();
        let collections = collections_of(&ordered)?;
        let mut paths: Vec<(String, Vec<Arc<RouteEntry>>)> = Vec::new();
        let mut positions: BTreeMap<String, usize> = BTreeMap::new();
        for (name, plugin) in ordered {
            let refuse = |message: String| GenerationError { plugin: name.clone(), message };
            let descriptor = &plugin.prepared.descriptor;
            for (schema, value) in &descriptor.schemas {
                check_schema(value, &descriptor.schemas)
                    .map_err(|error| refuse(format!("its schema `{schema}`: {error}")))?;
                match schemas.get(schema) {
                    Some((other, known)) if known != value => {
                        return Err(refuse(format!(
                            "its schema `{schema}` differs from that of plugin `{other}`: give one another name"
                        )));
                    }
                    _ => schemas.insert(schema.clone(), (name.clone(), value.clone())),
                };
            }
            for route in &descriptor.routes {
                if let Some(other) = operations.insert(route.operation_id.clone(), name.clone()) {
                    return Err(refuse(format!(
                        "the operation id `{}` is used twice, here and in plugin `{other}`",
                        route.operation_id
                    )));
                }
                let entry = route_entry(plugin, route, &descriptor.schemas, &collections)
                    .map_err(|error| refuse(format!("operation `{}`: {error}", route.operation_id)))?;
                let position = *positions.entry(route.path.clone()).or_insert(paths.len());
                if position == paths.len() {
                    paths.push((route.path.clone(), Vec::new()));
                }
                let (_, entries) = &mut paths[position];
                if let Some(other) = entries.iter().find(|other| other.route.method == route.method) {
                    return Err(refuse(format!(
                        "`{} {}` is already answered by plugin `{}`",
                        route.method,
                        route.path,
                        other.plugin.id()
                    )));
                }
                entries.push(Arc::new(entry));
            }
        }
        let mut routes = matchit::Router::new();
        for (path, entries) in paths {
            // In the order of the plugins: of two paths that conflict, the later one's plugin gives way.
            let plugin = entries.first().map(|entry| entry.plugin.id().to_owned()).unwrap_or_default();
            routes.insert(path.clone(), entries).map_err(|error| GenerationError {
                plugin,
                message: format!("the path `{path}` conflicts with another: {error}"),
            })?;
        }
        Ok(Self { id, hooks: HookChains::new(&plugins), plugins, routes })
    }

    /// Finds the route of a method and a path below the API base.
    pub fn lookup(&self, method: &str, path: &str) -> Lookup {
        let Ok(found) = self.routes.at(path) else { return Lookup::NotFound };
        match found.value.iter().find(|entry| entry.route.method == method) {
            Some(entry) => Lookup::Found {
                entry: entry.clone(),
                params: found
                    .params
                    .iter()
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
            },
            None => {
                Lookup::MethodNotAllowed(found.value.iter().map(|entry| entry.route.method.clone()).collect())
            }
        }
    }
}

fn collections_of(
    plugins: &[(&String, &Arc<LoadedPlugin>)],
) -> Result<BTreeMap<String, CollectionSchema>, GenerationError> {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    let mut collections = BTreeMap::new();
    for &(name, plugin) in plugins {
        for collection in &plugin.prepared.descriptor.collections {
            if let Some(other) = owners.insert(&collection.name, name) {
                return Err(GenerationError {
                    plugin: name.to_owned(),
                    message: format!("the collection `{}` belongs to plugin `{other}`", collection.name),
                });
            }
            collections.insert(collection.name.clone(), collection.clone());
        }
    }
    Ok(collections)
}

fn route_entry(
    plugin: &Arc<LoadedPlugin>,
    route: &Route,
    schemas: &Map<String, Value>,
    collections: &BTreeMap<String, CollectionSchema>,
) -> Result<RouteEntry, String> {
    let params = |location: Location| -> Result<Vec<ParamCheck>, String> {
        route
            .params
            .iter()
            .filter(|param| param.location == location)
            .map(|param| {
                ParamCheck::new(param, schemas)
                    .map_err(|error| format!("parameter `{}`: {error}", param.name))
            })
            .collect()
    };
    for response in &route.responses {
        if let Some(body) = &response.body {
            check_schema(&body.schema, schemas)?;
        }
    }
    let mut list_fields = BTreeMap::new();
    if let Some(list) = &route.list {
        // Every list can be asked for some of its resources.
        list_fields.insert("id".to_owned(), FieldKind::Text);
        let accounts = plugin.grants.may_identity().then(identity::accounts_schema);
        let accounts = accounts.filter(|schema| schema.name == list.collection);
        let collection =
            accounts.as_ref().or_else(|| collections.get(&list.collection)).ok_or_else(|| {
                format!("it lists the collection `{}`, which no loaded plugin declares", list.collection)
            })?;
        for path in list.filters.iter().chain(&list.sorts) {
            let field = collection.field(path).ok_or_else(|| {
                format!("the collection `{}` does not declare the field `{path}`", collection.name)
            })?;
            if list.sorts.contains(path) && field.multi {
                return Err(format!("the field `{path}` crosses an array and cannot be sorted by"));
            }
            list_fields.insert(path.clone(), field.kind);
        }
        if list.text && collection.text.is_empty() {
            return Err(format!("the collection `{}` has no text fields", collection.name));
        }
    }
    Ok(RouteEntry {
        plugin: plugin.clone(),
        route: route.clone(),
        body: route.request.as_ref().map(|body| BodyCheck::new(body, schemas)).transpose()?,
        query: params(Location::Query)?,
        headers: params(Location::Header)?,
        members: members(route, schemas),
        list_fields,
    })
}

/// The members of what a route that reads answers: an object, or each of an array.
fn members(route: &Route, schemas: &Map<String, Value>) -> Option<BTreeSet<String>> {
    let response = route.responses.iter().find(|response| response.status == 200 && route.method == "GET")?;
    let mut schema = &response.body.as_ref()?.schema;
    // A page of references is three steps.
    for _ in 0..4 {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            return Some(properties.keys().cloned().collect());
        }
        schema = match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => schemas.get(reference.strip_prefix("#/components/schemas/")?)?,
            None => schema.get("items")?,
        };
    }
    None
}
