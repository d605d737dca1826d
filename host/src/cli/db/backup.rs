//! `wares db backup`.

use std::{
    io::{self, ErrorKind, Write},
    path::Path,
    process::ExitCode,
};

use bytes::Bytes;

use super::{Origin, facts, failure, moved, table, unless_stopped};
use crate::{
    backup::{BackupFile, Contents, Item, Sink, TransferError},
    cli::{Failure, Output, arguments::DbBackupArguments},
};

pub(in crate::cli) async fn run(arguments: &DbBackupArguments, output: Output) -> Result<ExitCode, Failure> {
    let to_stdout = arguments.file == Path::new("-");
    let contents = unless_stopped(async {
        if to_stdout {
            return taken(arguments, output, &mut Stdout).await;
        }
        // First, because it is what fails most often, and before anything slow.
        let mut file = BackupFile::create(&arguments.file, arguments.force)
            .map_err(|error| unwritable(&arguments.file, &error))?;
        let contents = taken(arguments, output, &mut file).await?;
        file.finish().map_err(|error| unwritable(&arguments.file, &error))?;
        Ok(contents)
    })
    .await?;
    let (documents, collections) = (contents.documents(), contents.collections.len());
    if to_stdout {
        output.note(&format!("Wrote {documents} documents of {collections} collections."));
    } else {
        let file = arguments.file.display();
        let mut json = facts(&contents);
        json["file"] = file.to_string().into();
        let text = format!("{}Wrote `{file}`; it holds password hashes.", table(&contents));
        output.answer(&text, &json);
    }
    Ok(ExitCode::SUCCESS)
}

async fn taken(
    arguments: &DbBackupArguments,
    output: Output,
    sink: &mut impl Sink,
) -> Result<Contents, Failure> {
    let origin = Origin::open(&arguments.place).await?;
    let taken = async {
        let chunks = origin.chunks().await?;
        moved(chunks, sink, output, "Backing up").await.map_err(|error| match error {
            TransferError::Damaged(_) => Failure::of(
                &error,
                "Try again if the host was stopped meanwhile; otherwise check the store with `wares db verify`.",
            ),
            other => failure(other),
        })
    };
    let taken = taken.await;
    origin.close().await;
    taken
}

fn unwritable(file: &Path, error: &io::Error) -> Failure {
    let shown = file.display();
    match error.kind() {
        ErrorKind::AlreadyExists => Failure::new(
            format!("`{shown}` is there already"),
            "Choose another name, or replace it with --force.",
        ),
        _ => Failure::new(format!("cannot write `{shown}`: {error}"), "Choose another place."),
    }
}

struct Stdout;

impl Sink for Stdout {
    async fn take(&mut self, chunk: &Bytes, _: Vec<Item>) -> Result<(), TransferError> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(chunk).and_then(|()| stdout.flush()).map_err(TransferError::Write)
    }
}
