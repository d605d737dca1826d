//! One attempt at a commit: a transaction on the server.

use std::{collections::BTreeMap, time::Duration};

use mongodb::{
    ClientSession, Database,
    bson::{Bson, Document as BsonDocument, RawArrayBuf, RawDocumentBuf, doc, raw::cstr, rawdoc},
    options::{Acknowledgment, ReadConcern, WriteConcern},
};
use store_model::{CommitRefused, Document, Scalar, commit::CommitEnd, evaluate::values_at};

use super::{
    bson::{body_to_map, scalar_to_bson},
    fault::Fault,
    overlay::{Assumed, Change, Key, Known, Overlay},
    table::{Table, Tables},
    work::Work,
};

/// Bytes of records that go into one command. The server takes 16 MiB and a little, and a single record is
/// smaller than that.
const COMMAND_BYTES: usize = 8 * 1024 * 1024;

/// What became of a commit that came to a result.
pub(super) type Attempted = Result<Vec<Option<Document>>, CommitRefused>;

/// How far an attempt got.
pub(super) enum Ran {
    /// All writes are in the transaction, which is to be committed.
    Ready(Vec<Option<Document>>),
    /// There is nothing to commit.
    Over(Attempted),
}

pub(super) struct Attempt<'a> {
    pub(super) database: &'a Database,
    pub(super) tables: &'a Tables,
    pub(super) work: &'a Work,
    /// Whether everything is looked up before.
    pub(super) careful: bool,
    /// How long the last step may take.
    pub(super) time: Duration,
}

/// A write that is durable on most servers.
pub(super) fn durable() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build()
}

impl Attempt<'_> {
    /// Runs the commit up to its last step. Where that is not taken the caller drops the session, which undoes
    /// the rest.
    pub(super) async fn run(&self, session: &mut ClientSession) -> Result<Ran, Fault> {
        session
            .start_transaction()
            .read_concern(ReadConcern::snapshot())
            .write_concern(durable())
            .max_commit_time(self.time)
            .await?;
        let mut known = Known::default();
        self.fetch(session, &mut known, self.named()).await?;
        let (results, changes) = loop {
            let mut overlay = Overlay::new(self.tables, &known);
            let ran = match self.work.decide(&mut overlay) {
                Ok(results) => Ok(results),
                Err(CommitEnd::Failed(fault)) => return Err(fault),
                Err(CommitEnd::Refused(refused)) => Err(refused),
            };
            let Overlay { changes, assumed, .. } = overlay;
            if !assumed.is_empty() && (self.careful || ran.is_err()) {
                self.look_up(session, &mut known, assumed).await?;
                continue;
            }
            match ran {
                Ok(results) => break (results, changes),
                Err(refused) => return Ok(Ran::Over(Err(refused))),
            }
        };
        if changes.is_empty() {
            return Ok(Ran::Over(Ok(results)));
        }
        self.write(session, &known, changes).await?;
        Ok(Ran::Ready(results))
    }

    /// The documents to fetch before anything else.
    fn named(&self) -> BTreeMap<String, Vec<String>> {
        let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (collection, id) in self.work.named(self.careful) {
            if self.tables.contains_key(collection) {
                named.entry(collection.to_owned()).or_default().push(id.to_owned());
            }
        }
        named
    }

    async fn look_up(
        &self,
        session: &mut ClientSession,
        known: &mut Known,
        assumed: Assumed,
    ) -> Result<(), Fault> {
        let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (collection, id) in assumed.free {
            named.entry(collection).or_default().push(id);
        }
        self.fetch(session, known, named).await?;
        let mut wanted: BTreeMap<(String, String), Vec<Scalar>> = BTreeMap::new();
        for claim in assumed.unheld {
            wanted.entry((claim.0.clone(), claim.1.clone())).or_default().push(claim.2.clone());
            known.holders.insert(claim, None);
        }
        for ((collection, path), values) in wanted {
            let Some(table) = self.tables.get(&collection) else { continue };
            let values: Vec<Bson> = values.iter().map(scalar_to_bson).collect();
            let records = self.database.collection::<RawDocumentBuf>(&collection);
            let mut found = records
                .find(doc! { table.key(&path): { "$in": values } })
                .projection(doc! { "doc": 1 })
                .session(&mut *session)
                .await?;
            while found.advance(session).await? {
                let record = found.current();
                let document = body_to_map(record.get_document("doc")?)?;
                for value in values_at(&table.schema, &document, &path) {
                    let claim = (collection.clone(), path.clone(), value);
                    known.holders.insert(claim, Some(record.get_str("_id")?.to_owned()));
                }
            }
        }
        Ok(())
    }

    async fn fetch(
        &self,
        session: &mut ClientSession,
        known: &mut Known,
        named: BTreeMap<String, Vec<String>>,
    ) -> Result<(), Fault> {
        for (collection, ids) in named {
            let records = self.database.collection::<RawDocumentBuf>(&collection);
            let count = u32::try_from(ids.len()).unwrap_or(u32::MAX).saturating_add(1);
            let mut found = records
                .find(doc! { "_id": { "$in": &ids } })
                .projection(doc! { "doc": 1, "s": 1 })
                .batch_size(count)
                .session(&mut *session)
                .await?;
            for id in ids {
                known.documents.insert((collection.clone(), id), None);
            }
            while found.advance(session).await? {
                let record = found.current();
                let key: Key = (collection.clone(), record.get_str("_id")?.to_owned());
                let document = body_to_map(record.get_document("doc")?)?;
                known.documents.insert(key, Some((document, record.get_i32("s")?)));
            }
        }
        Ok(())
    }

    /// Sends the changes: those of one collection in their order, since a unique value may have to be given up
    /// before it can be taken.
    async fn write(
        &self,
        session: &mut ClientSession,
        known: &Known,
        changes: Vec<Change>,
    ) -> Result<(), Fault> {
        let mut collections: BTreeMap<String, Vec<Change>> = BTreeMap::new();
        for change in changes {
            collections.entry(change.collection().to_owned()).or_default().push(change);
        }
        for (collection, changes) in collections {
            let table = self.tables.get(&collection).ok_or(Fault::Redeclared)?;
            let mut command = Command::None;
            for change in changes {
                let (kind, part) = statement(table, known, change)?;
                if !command.takes(kind, &part) {
                    command.send(self.database, session, &collection).await?;
                    command = Command::None;
                }
                command.push(kind, part);
            }
            command.send(self.database, session, &collection).await?;
        }
        Ok(())
    }
}

/// Name of a write command, and of the array of its statements.
type Kind = (&'static str, &'static mongodb::bson::raw::CStr);

const INSERT: Kind = ("insert", cstr!("documents"));
const UPDATE: Kind = ("update", cstr!("updates"));
const DELETE: Kind = ("delete", cstr!("deletes"));

fn statement(table: &Table, known: &Known, change: Change) -> Result<(Kind, RawDocumentBuf), Fault> {
    let at = |id: &str, version: u64| rawdoc! { "_id": id, "doc.version": version.cast_signed() };
    Ok(match change {
        Change::Insert { key: (_, id), document } => (INSERT, table.record(&id, &document)?),
        Change::Replace { key: (_, id), version, document } => {
            (UPDATE, rawdoc! { "q": at(&id, version), "u": table.record(&id, &document)? })
        }
        Change::Delete { key: (_, id), version } => (DELETE, rawdoc! { "q": at(&id, version), "limit": 1 }),
        Change::Touch { key, version } => {
            let stored = known.documents.get(&key).and_then(Option::as_ref);
            let update = match stored {
                // A record of an earlier declaration is written anew: the server takes it in no other way.
                Some((document, revision)) if *revision != table.revision => {
                    let mut record = table.record(&key.1, document)?;
                    record.append(cstr!("touched"), i64::from(*revision));
                    record
                }
                _ => rawdoc! { "$inc": { "touched": 1_i64 } },
            };
            (UPDATE, rawdoc! { "q": at(&key.1, version), "u": update })
        }
    })
}

/// A write command under construction.
enum Command {
    None,
    Some { kind: Kind, statements: RawArrayBuf, count: i64, bytes: usize },
}

impl Command {
    fn takes(&self, kind: Kind, part: &RawDocumentBuf) -> bool {
        match self {
            Self::None => true,
            Self::Some { kind: own, bytes, .. } => {
                own.0 == kind.0 && bytes + part.as_bytes().len() <= COMMAND_BYTES
            }
        }
    }

    fn push(&mut self, kind: Kind, part: RawDocumentBuf) {
        if matches!(self, Self::None) {
            *self = Self::Some { kind, statements: RawArrayBuf::new(), count: 0, bytes: 0 };
        }
        if let Self::Some { statements, count, bytes, .. } = self {
            *bytes += part.as_bytes().len();
            *count += 1;
            statements.push(part);
        }
    }

    /// Sends the command. Every statement must find its document in the version that was read.
    async fn send(
        self,
        database: &Database,
        session: &mut ClientSession,
        collection: &str,
    ) -> Result<(), Fault> {
        let Self::Some { kind: (name, statements_name), statements, count, .. } = self else {
            return Ok(());
        };
        let name: &mongodb::bson::raw::CStr = name.try_into()?;
        let mut command = RawDocumentBuf::new();
        command.append(name, collection);
        command.append(statements_name, statements);
        command.append(cstr!("ordered"), true);
        let reply = database.run_raw_command(command).session(session).await?;
        check_reply(&reply, count)
    }
}

fn check_reply(reply: &BsonDocument, count: i64) -> Result<(), Fault> {
    if let Some(Bson::Array(errors)) = reply.get("writeErrors")
        && let Some(error) = errors.iter().find_map(Bson::as_document)
    {
        return Err(Fault::of_write(
            error.get_i32("code").unwrap_or_default(),
            error.get_str("errmsg").unwrap_or_default(),
        ));
    }
    let matched = match reply.get("n") {
        Some(Bson::Int32(matched)) => i64::from(*matched),
        Some(Bson::Int64(matched)) => *matched,
        _ => 0,
    };
    if matched == count { Ok(()) } else { Err(Fault::Conflict) }
}
