//! Categories by slug, and making those that a sheet names.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{
    Draft, ImportError, Kind, Mistake, Shelf,
    answers::{Refusal, escaped, is_slug},
    trial,
};
use crate::seed::SystemApi;

/// The categories that are known, by slug.
#[derive(Debug, Default)]
pub(super) struct Shelves {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// None for one that a dry run would have made.
    ids: HashMap<String, Option<String>>,
    created: u64,
}

impl Shelves {
    pub(super) async fn created(&self) -> u64 {
        self.known.lock().await.created
    }

    /// Remembers a category that was imported; none stands for one of a dry run.
    pub(super) async fn add(&self, slug: &str, id: Option<String>) {
        self.known.lock().await.ids.insert(slug.to_owned(), id);
    }

    /// Puts the ids of the categories into what is sent. Those of a dry run stay out.
    ///
    /// # Errors
    /// Inside, what is wrong with them.
    pub(super) async fn put(
        &self,
        api: &impl SystemApi,
        draft: &mut Draft,
        kind: Kind,
        dry_run: bool,
    ) -> Result<Result<(), Vec<Mistake>>, ImportError> {
        let Some(shelves) = draft.shelves.clone() else { return Ok(Ok(())) };
        let (mut ids, mut mistakes) = (Vec::new(), Vec::new());
        for (index, shelf) in shelves.iter().enumerate() {
            let pointer = match kind {
                Kind::Products => format!("/categories/{index}"),
                Kind::Categories | Kind::Users | Kind::Orders => "/parent".to_owned(),
            };
            match self.id(api, shelf, dry_run).await? {
                Found::Id(id) => ids.push(id),
                Found::Planned => {}
                Found::Missing => {
                    let message = format!("There is no category with the slug `{}`.", shelf.slug);
                    mistakes.push(draft.mistake(&pointer, "validation_failed", &message));
                }
                Found::Refused(refusal) => {
                    for mut mistake in refusal.mistakes(draft, "") {
                        let at = draft.mistake(&pointer, "", "");
                        (mistake.pointer, mistake.column) = (at.pointer, at.column);
                        mistakes.push(mistake);
                    }
                }
            }
        }
        if !mistakes.is_empty() {
            return Ok(Err(mistakes));
        }
        match kind {
            Kind::Products => drop(draft.body.insert("categoryIds".to_owned(), json!(ids))),
            // A parent that a dry run has not made cannot be referred to.
            Kind::Categories if dry_run && ids.is_empty() && !shelves.is_empty() => {}
            Kind::Categories => drop(draft.body.insert("parentId".to_owned(), json!(ids.first()))),
            Kind::Users | Kind::Orders => {}
        }
        Ok(Ok(()))
    }

    async fn id(&self, api: &impl SystemApi, shelf: &Shelf, dry_run: bool) -> Result<Found, ImportError> {
        // Held while one is made: two products may be the first of the same category.
        let mut known = self.known.lock().await;
        if let Some(found) = known.find(api, &shelf.slug).await? {
            return Ok(found);
        }
        let (mut slug, mut parent) = (String::new(), None);
        for name in &shelf.names {
            let part = crate::seed::text::slug(name);
            slug = if slug.is_empty() { part } else { format!("{slug}-{part}") };
            let found = match known.find(api, &slug).await? {
                Some(found) => found,
                None => known.make(api, &slug, name, parent.take(), dry_run).await?,
            };
            match found {
                Found::Id(id) => parent = Some(id),
                Found::Planned => parent = None,
                other => return Ok(other),
            }
        }
        Ok(match parent {
            Some(id) => Found::Id(id),
            None if shelf.names.is_empty() => Found::Missing,
            None => Found::Planned,
        })
    }
}

enum Found {
    Id(String),
    /// It would have been made, if this were no dry run.
    Planned,
    Missing,
    Refused(Refusal),
}

impl Known {
    async fn find(&mut self, api: &impl SystemApi, slug: &str) -> Result<Option<Found>, ImportError> {
        let found = |id: &Option<String>| id.clone().map_or(Found::Planned, Found::Id);
        if let Some(id) = self.ids.get(slug) {
            return Ok(Some(found(id)));
        }
        if !is_slug(slug) {
            return Ok(None);
        }
        let path = format!("/categories/by-slug/{}", escaped(slug));
        match api.request("GET", &path, None).await? {
            (200, category) => {
                let id = category["id"].as_str().map(str::to_owned);
                self.ids.insert(slug.to_owned(), id.clone());
                Ok(Some(found(&id)))
            }
            (404, problem) if problem["code"] == "not_found" => Ok(None),
            (status, problem) => Err(Refusal::of(status, &problem).ends(&format!("GET {path}"))),
        }
    }

    async fn make(
        &mut self,
        api: &impl SystemApi,
        slug: &str,
        name: &str,
        parent: Option<String>,
        dry_run: bool,
    ) -> Result<Found, ImportError> {
        let body = json!({"slug": slug, "name": name, "active": true, "parentId": parent});
        let made = if dry_run {
            trial::category(api, body).await?.map(|()| None)
        } else {
            match api.request("POST", "/categories", Some(body)).await? {
                (201, category) => Ok(category["id"].as_str().map(str::to_owned)),
                (status, problem) => Err(Refusal::of(status, &problem)),
            }
        };
        match made {
            Ok(id) => {
                self.created += 1;
                self.ids.insert(slug.to_owned(), id.clone());
                Ok(id.map_or(Found::Planned, Found::Id))
            }
            // Somebody else has made it meanwhile.
            Err(refusal) if refusal.status == 409 => {
                Ok(self.find(api, slug).await?.unwrap_or(Found::Refused(refusal)))
            }
            Err(refusal) if refusal.is_trouble() => Err(refusal.ends("POST /categories")),
            Err(refusal) => Ok(Found::Refused(refusal)),
        }
    }
}

/// The slugs of categories by their ids, for exports.
pub(super) fn slug_of(category: &Value) -> Option<(String, String)> {
    Some((category["id"].as_str()?.to_owned(), category["slug"].as_str()?.to_owned()))
}
