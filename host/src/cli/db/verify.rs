//! `wares db verify`.

use std::process::ExitCode;

use serde_json::json;

use super::{Origin, facts, failure, file_chunks, moved, restore::damaged, table, unless_stopped};
use crate::{
    backup::{Contents, NoSink},
    cli::{Failure, Output, arguments::DbVerifyArguments},
};

/// How many problems are printed; the rest is counted.
const SHOWN_PROBLEMS: usize = 10;

pub(in crate::cli) async fn run(arguments: &DbVerifyArguments, output: Output) -> Result<ExitCode, Failure> {
    let Some(file) = &arguments.file else { return unless_stopped(store(arguments, output)).await };
    let contents = unless_stopped(async {
        let chunks = file_chunks(file).await?;
        let checked = moved(chunks, &mut NoSink, output, "Checking").await;
        checked.map_err(|error| damaged(&file.display(), &error))
    })
    .await?;
    output.answer(&format!("{}`{}` is whole.", table(&contents), file.display()), &facts(&contents));
    Ok(ExitCode::SUCCESS)
}

async fn store(arguments: &DbVerifyArguments, output: Output) -> Result<ExitCode, Failure> {
    let origin = Origin::open(&arguments.place).await?;
    let examined = examine(&origin, output).await;
    origin.close().await;
    let (contents, problems) = examined?;
    let mut json = facts(&contents);
    json["problems"] = json!(problems);
    let mut text = table(&contents);
    if problems.is_empty() {
        text += "The indexes agree with the documents.";
    }
    output.answer(&text, &json);
    if problems.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    problems.iter().take(SHOWN_PROBLEMS).for_each(|problem| output.warning(problem));
    Err(Failure::new(
        format!("the store has {} inconsistencies", problems.len()),
        "Restore the last backup into an empty store.",
    ))
}

async fn examine(origin: &Origin, output: Output) -> Result<(Contents, Vec<String>), Failure> {
    let contents = moved(origin.chunks().await?, &mut NoSink, output, "Reading").await.map_err(failure)?;
    output.note("Comparing indexes with documents.");
    Ok((contents, origin.verify().await?))
}
