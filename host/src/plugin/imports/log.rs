//! `wares:log`.

use crate::plugin::{
    bindings::wares::log::log::{Host, Level},
    instance::{CallState, LOG_LINE_CHARS},
};

/// More fields than this say nothing.
const FIELDS: usize = 16;

impl Host for CallState {
    async fn log(
        &mut self,
        level: Level,
        message: String,
        fields: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        let bytes =
            message.len() + fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        self.budget.spend(bytes)?;
        if self.budget.log_lines == 0 || self.budget.log_bytes < bytes {
            self.budget.log_dropped += 1;
            if self.budget.log_dropped == 1 {
                tracing::warn!(plugin.id = %self.plugin.id, request.id = %self.request_id, "Plugin log truncated: its budget is spent");
            }
            return Ok(());
        }
        self.budget.log_lines -= 1;
        self.budget.log_bytes -= bytes;
        let message: String = message.chars().take(LOG_LINE_CHARS).collect();
        let fields: Vec<String> = fields
            .into_iter()
            .take(FIELDS)
            .map(|(name, value)| format!("{name}={}", value.chars().take(LOG_LINE_CHARS).collect::<String>()))
            .collect();
        let fields = fields.join(" ");
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    plugin.id = %self.plugin.id,
                    plugin.version = %self.plugin.version,
                    request.id = %self.request_id,
                    plugin.fields = %fields,
                    "{message}"
                )
            };
        }
        match level {
            Level::Trace => line!(trace),
            Level::Debug => line!(debug),
            Level::Info => line!(info),
            Level::Warn => line!(warn),
            Level::Error => line!(error),
        }
        Ok(())
    }
}
