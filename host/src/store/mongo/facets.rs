//! Facets as pipelines: the server groups by value, what is a range or among the first is decided here.

use std::time::Duration;

use mongodb::{
    ClientSession,
    bson::{Document as BsonDocument, RawDocumentBuf, doc},
};
use store_model::{Facet, FacetCount, Facets, facets::Tally, validate::check_facets};

use super::{
    Mongo,
    bson::scalar_of_bson,
    fault::Fault,
    filter::{all, prefix_range, query as to_query},
    read::number,
    table::{Table, least_of},
};
use crate::store::error::ReadError;

/// The server fetches every document that matches, once for each facet.
const FACETS_PATIENCE: Duration = Duration::from_secs(10);

impl Mongo {
    pub(super) async fn read_facets(
        &self,
        collection: &str,
        facets: &Facets,
    ) -> Result<Vec<Vec<FacetCount>>, ReadError> {
        let table = self.table(collection).await?;
        let text = check_facets(&table.schema, facets)?;
        let matching = to_query(&table, &facets.filter, facets.scope.as_ref(), text.as_ref());
        self.of_one_moment_within(FACETS_PATIENCE, |session| {
            self.count_facets(session, &table, facets, &matching)
        })
        .await
    }

    async fn count_facets(
        &self,
        mut session: ClientSession,
        table: &Table,
        facets: &Facets,
        matching: &BsonDocument,
    ) -> Result<Vec<Vec<FacetCount>>, Fault> {
        let records = self.records(table);
        let mut counted = Vec::with_capacity(facets.facets.len());
        for facet in &facets.facets {
            let mut tally = Tally::new(facet);
            let mut groups = records
                .aggregate(pipeline(table, facet, matching.clone()))
                .with_type::<RawDocumentBuf>()
                .max_time(FACETS_PATIENCE)
                .session(&mut session)
                .await?;
            while groups.advance(&mut session).await? {
                let group = groups.current();
                if let Some(value) = group.get("_id")?.and_then(scalar_of_bson) {
                    tally.add_value(value, number(group, "n")?);
                }
            }
            counted.push(tally.finish());
        }
        Ok(counted)
    }
}

fn pipeline(table: &Table, facet: &Facet, matching: BsonDocument) -> Vec<BsonDocument> {
    let key = table.key(facet.path());
    let value = format!("${key}");
    let wanted = match (facet, table.schema.field(facet.path())) {
        (Facet::Values { prefix: Some(prefix), .. }, _) => doc! { &key: prefix_range(prefix) },
        // At least the least of its kind: anything but null.
        (_, Some(field)) => doc! { &key: { "$gte": least_of(field.kind) } },
        (_, None) => BsonDocument::new(),
    };
    let mut pipeline = Vec::new();
    if table.is_multi(facet.path()) {
        pipeline.push(doc! { "$match": matching });
        pipeline.push(doc! { "$unwind": &value });
        pipeline.push(doc! { "$match": wanted });
    } else {
        pipeline.push(doc! { "$match": all(vec![matching, wanted]) });
    }
    pipeline.push(doc! { "$group": { "_id": value, "n": { "$sum": 1 } } });
    pipeline
}
