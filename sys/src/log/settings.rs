//! The log as configured.

use proto::spec::{Log, LogFormat, LogLevel};
use tracing::Level;

use super::{Format, LogConfig, LogTarget, journal_reads};

impl From<&Log> for LogConfig {
    fn from(log: &Log) -> Self {
        let target = match &log.target {
            proto::spec::LogTarget::Stderr => LogTarget::Stderr,
            proto::spec::LogTarget::File(path) => LogTarget::File(path.into()),
        };
        let format = match log.format {
            LogFormat::Json => Format::Json,
            LogFormat::Text if target == LogTarget::Stderr && journal_reads() => Format::Journal,
            LogFormat::Text => Format::Text,
        };
        let level = match log.level {
            LogLevel::Error => Level::ERROR,
            LogLevel::Warn => Level::WARN,
            LogLevel::Info => Level::INFO,
            LogLevel::Debug => Level::DEBUG,
            LogLevel::Trace => Level::TRACE,
        };
        Self { level, format, target }
    }
}
