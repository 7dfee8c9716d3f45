//! Events: what every one has, then what belongs to its kind.

use super::process::{seconds, signal};
use crate::show::{kind_name, rfc3339_millis};
use proto::control::{Event, EventKind};
use serde_json::{Map, Value, json};

/// The event as a line.
pub(crate) fn event(event: &Event) -> String {
    let mut object = Map::new();
    object.insert("seq".into(), event.seq.into());
    object.insert("time".into(), rfc3339_millis(event.time).into());
    object.insert("event".into(), kind_name(&event.kind).into());
    object.insert("subject".into(), event.subject.as_str().into());
    if let Value::Object(details) = details(&event.kind) {
        object.extend(details);
    }
    format!("{}\n", Value::Object(object))
}

fn details(kind: &EventKind) -> Value {
    match kind {
        EventKind::Spawn { pid } | EventKind::Ready { pid } | EventKind::Reap { pid } => json!({"pid": pid}),
        EventKind::Exit { pid, code, signal: number, requested, oneoff } => json!({
            "pid": pid, "code": code, "signal": number.map(signal), "requested": requested, "oneoff": oneoff,
        }),
        EventKind::Kill { pid, signal: number } => json!({"pid": pid, "signal": signal(*number)}),
        EventKind::Flap { count, retry_in } => json!({"count": count, "retry_in": seconds(*retry_in)}),
        EventKind::Fatal { reason } => json!({"reason": reason}),
        EventKind::Health { ok, reason } => json!({"ok": ok, "reason": reason}),
        EventKind::Update { target } => json!({"target": target}),
        EventKind::Start | EventKind::Stop | EventKind::Load | EventKind::Unload => Value::Null,
        EventKind::Reload { generation, ok, error } => {
            json!({"generation": generation, "ok": ok, "error": error})
        }
        EventKind::Upgrade { ok } => json!({"ok": ok}),
        EventKind::Lost { count } => json!({"count": count}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_event_is_an_object_with_what_belongs_to_its_kind() {
        let exit =
            EventKind::Exit { pid: Some(5), code: None, signal: Some(9), requested: false, oneoff: true };
        let time = Duration::from_millis(1_767_225_600_007);
        let text = event(&Event { seq: 17, time, subject: "companion.rq.1".into(), kind: exit });
        let expected = json!({
            "seq": 17, "time": "2026-01-01T00:00:00.007Z", "event": "exit", "subject": "companion.rq.1",
            "pid": 5, "code": null, "signal": "SIGKILL", "requested": false, "oneoff": true,
        });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
        assert_eq!(text.matches('\n').count(), 1);
    }
}
