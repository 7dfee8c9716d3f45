//! `PROTOCOL.md` says what the code does.

use crate::hex;
use crate::samples::{TOKEN, requests, responses};
use crate::shape::{Field, Shapes, UNTOLD};
use proto::codec;
use proto::control::{
    Answer, ArbiterState, Chunk, CompanionUntil, EventKind, Failure, FailureKind, ReloadScope, Reply,
    Request, Response, ScaleChange, ScaleTarget, SignalTarget, Token, Verb,
};
use proto::frame::{MAX_ANSWER, MAX_HELLO, MAX_REQUEST, frame};
use proto::hello::{HIGHEST, Hello, LOWEST};
use proto::supervise::{ExitStatus, State};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

const PAGE: &str = include_str!("../../PROTOCOL.md");

/// The page's tables of structures and choices.
#[derive(Debug, Default)]
struct Tables {
    structures: BTreeMap<String, Vec<Field>>,
    variants: BTreeMap<(String, u32), (String, Vec<Field>)>,
}

/// The cells of a table's row.
fn cells(line: &str) -> Option<Vec<&str>> {
    Some(line.strip_prefix("| ")?.trim_end_matches('|').split('|').map(str::trim).collect())
}

fn quoted(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`')
}

/// The fields in a cell: ``name: `Type`, name: `Type` ``.
fn fields(cell: &str) -> Vec<Field> {
    let mut parts = cell.split('`');
    let mut fields = Vec::new();
    while let (Some(name), Some(kind)) = (parts.next(), parts.next()) {
        let name = name.trim_start_matches([',', ' ']).trim_end_matches([':', ' ']);
        fields.push((name.to_owned(), kind.to_owned()));
    }
    fields
}

fn tables(page: &str) -> Tables {
    let mut tables = Tables::default();
    let mut name = "";
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            name = heading;
        } else if line.starts_with("# ") {
            name = "";
        }
        let Some(cells) = cells(line).filter(|_| !name.is_empty()) else { continue };
        match cells[..] {
            [field, kind, _] => {
                if let (Some(field), Some(kind)) = (quoted(field), quoted(kind)) {
                    let fields = tables.structures.entry(name.to_owned()).or_default();
                    fields.push((field.to_owned(), kind.to_owned()));
                }
            }
            [index, variant, members, ..] => {
                if let (Ok(index), Some(variant)) = (index.parse(), quoted(variant)) {
                    let row = (variant.to_owned(), fields(members));
                    let before = tables.variants.insert((name.to_owned(), index), row);
                    assert_eq!(before, None, "{name} has two rows of index {index}");
                }
            }
            _ => {}
        }
    }
    tables
}

fn shapes() -> Shapes {
    let mut shapes = Shapes::default();
    requests().iter().for_each(|(_, request)| shapes.see(request));
    responses().iter().for_each(|(_, response)| shapes.see(response));
    shapes
}

/// Where the code gives a field no name, the page's is as good as any.
fn assert_same(what: &str, said: &[Field], meant: &[Field]) {
    let types = |fields: &[Field]| fields.iter().map(|(_, kind)| kind.clone()).collect::<Vec<_>>();
    assert!(
        !types(meant).iter().any(|kind| kind.contains(UNTOLD)),
        "{what}: no sample has anything in one of {meant:?}"
    );
    assert_eq!(types(said), types(meant), "{what}: the page has {said:?}, the code {meant:?}");
    for ((said, _), (meant, _)) in said.iter().zip(meant) {
        assert!(
            meant.is_empty() || said == meant,
            "{what}: the page calls {said} what the code calls {meant}"
        );
    }
}

#[test]
fn every_structure_of_the_code_has_its_table_and_every_table_its_structure() {
    let (tables, shapes) = (tables(PAGE), shapes());
    assert_eq!(tables.structures.keys().collect::<Vec<_>>(), shapes.structures.keys().collect::<Vec<_>>());
    for (name, meant) in &shapes.structures {
        assert_same(name, &tables.structures[name], meant);
    }
}

#[test]
fn every_variant_of_the_code_has_its_row_and_every_row_its_variant() {
    let (tables, shapes) = (tables(PAGE), shapes());
    assert_eq!(tables.variants.keys().collect::<Vec<_>>(), shapes.variants.keys().collect::<Vec<_>>());
    for (key, (variant, meant)) in &shapes.variants {
        let (said_variant, said) = &tables.variants[key];
        assert_eq!(said_variant, variant, "{key:?}");
        assert_same(&format!("{}::{variant}", key.0), said, meant);
    }
}

/// Whether the decoder of `T` has a variant of this index. Only the variant's own fields are missing then.
fn has_variant<T: DeserializeOwned>(index: u32) -> bool {
    match codec::decode::<T>(&index.to_le_bytes()) {
        Ok(_) => true,
        Err(error) => !error.to_string().contains("variant index"),
    }
}

fn assert_count<T: DeserializeOwned>(tables: &Tables, name: &str) {
    let rows = tables.variants.keys().filter(|(choice, _)| choice == name).count();
    let rows = u32::try_from(rows).expect("a table has few rows");
    assert!(rows > 0, "{name} has no table");
    assert!(has_variant::<T>(rows - 1), "{name} has a row of index {} too many", rows - 1);
    assert!(!has_variant::<T>(rows), "{name} has no row of index {rows}");
}

#[test]
fn no_choice_has_more_variants_than_its_table_has_rows() {
    let tables = tables(PAGE);
    assert_count::<Verb>(&tables, "Verb");
    assert_count::<ReloadScope>(&tables, "ReloadScope");
    assert_count::<ScaleTarget>(&tables, "ScaleTarget");
    assert_count::<ScaleChange>(&tables, "ScaleChange");
    assert_count::<SignalTarget>(&tables, "SignalTarget");
    assert_count::<CompanionUntil>(&tables, "CompanionUntil");
    assert_count::<Reply>(&tables, "Reply");
    assert_count::<Answer>(&tables, "Answer");
    assert_count::<FailureKind>(&tables, "FailureKind");
    assert_count::<Chunk>(&tables, "Chunk");
    assert_count::<State>(&tables, "State");
    assert_count::<ExitStatus>(&tables, "ExitStatus");
    assert_count::<ArbiterState>(&tables, "ArbiterState");
    assert_count::<EventKind>(&tables, "EventKind");
    let counted = 14;
    let choices: std::collections::BTreeSet<&String> = tables.variants.keys().map(|(name, _)| name).collect();
    assert_eq!(choices.len(), counted, "each choice of the page is counted above");
}

#[test]
fn a_verb_without_an_index_in_the_table_is_refused() {
    let request = Request { id: 1, token: Token::default(), wait: true, verb: Verb::Ping };
    let mut bytes = codec::encode(&request);
    let index_at = bytes.len() - 4;
    bytes[index_at..].copy_from_slice(&28u32.to_le_bytes());
    assert!(codec::decode::<Request>(&bytes).is_err());
}

#[test]
fn the_verbs_that_every_version_speaks_are_the_first_six() {
    let first: Vec<Verb> =
        requests().into_iter().map(|(_, request)| request.verb).filter(|verb| index(verb) < 6).collect();
    for name in ["version", "ping", "status", "reload", "upgrade", "shutdown"] {
        assert!(first.iter().any(|verb| verb.name() == name), "{name}");
    }
}

fn index(verb: &Verb) -> u32 {
    let bytes = codec::encode(verb);
    u32::from_le_bytes(*bytes.first_chunk().expect("a choice begins with its index"))
}

/// The bytes under the caption `name` in the page's conversation: in each line up to two spaces.
fn conversation(name: &str) -> Vec<u8> {
    let caption = format!("**{name}**\n\n```text\n");
    let (_, block) = PAGE.split_once(&caption).unwrap_or_else(|| panic!("the page has no {name}"));
    let (block, _) = block.split_once("```").expect("a block ends");
    block.lines().flat_map(|line| hex::decode(line.split("  ").next().unwrap_or_default())).collect()
}

#[test]
fn the_hellos_of_the_conversation_are_the_codes() {
    let hello = |program: &str| Hello { lowest: 1, highest: 1, program: program.into() };
    assert_eq!(conversation("client: hello"), frame(&hello("example").encode()));
    assert_eq!(conversation("manager: hello"), frame(&hello("0.1.0").encode()));
    assert_eq!((LOWEST, HIGHEST), (1, 1), "the conversation is in the highest version");
}

#[test]
fn the_requests_of_the_conversation_are_the_codes() {
    let requests = [
        ("client: ping", 1, Token::default(), Verb::Ping),
        ("client: status", 2, Token::default(), Verb::Status(Vec::new())),
        ("client: restart", 3, TOKEN, Verb::Restart(vec!["redis".into()])),
    ];
    for (name, id, token, verb) in requests {
        let request = Request { id, token, wait: true, verb };
        let bytes = frame(&codec::encode(&request));
        assert_eq!(hex::encode(&conversation(name)), hex::encode(&bytes), "{name}");
    }
}

#[test]
fn the_answers_of_the_conversation_are_the_codes() {
    let failure =
        Failure::new(FailureKind::NotFound, "no companion is called redis: see `arbiterctl status`");
    let answers = [
        ("manager: pong", 1, Reply::Done(Answer::Done)),
        ("manager: status", 2, status_of_the_conversation()),
        ("manager: not found", 3, Reply::Failed(failure)),
    ];
    for (name, id, reply) in answers {
        let bytes = frame(&codec::encode(&Response { id, reply }));
        assert_eq!(hex::encode(&conversation(name)), hex::encode(&bytes), "{name}");
    }
}

/// One worker and nothing else.
fn status_of_the_conversation() -> Reply {
    let answer = responses().into_iter().find_map(|(name, response)| match response.reply {
        Reply::Done(Answer::Status(status)) if name == "status" => Some(status),
        _ => None,
    });
    let mut status = answer.expect("there is a sample");
    status.workers.processes.truncate(1);
    status.workers.target = 1;
    status.workers.configured = 1;
    status.companions.clear();
    status.strays.clear();
    Reply::Done(Answer::Status(status))
}

#[test]
fn the_limits_of_frames_are_the_codes() {
    let limit = |what: &str| {
        let mut rows = PAGE.lines().filter_map(cells).filter(|cells| cells[0] == what);
        rows.next().unwrap_or_else(|| panic!("the page has no limit of {what}"))[1].to_owned()
    };
    assert_eq!(limit("a hello"), format!("{MAX_HELLO} bytes"));
    assert!(limit("a request").starts_with(&format!("{} MiB", MAX_REQUEST >> 20)));
    assert_eq!(limit("a response's frame"), format!("{} MiB", MAX_ANSWER >> 20));
}

#[test]
fn the_highest_version_spoken_has_a_row_in_the_history() {
    let (_, history) = PAGE.split_once("\n# Versions\n").expect("the page has a history");
    let versions: Vec<u32> =
        history.lines().filter_map(cells).filter_map(|cells| cells.first()?.parse().ok()).collect();
    assert_eq!(versions.iter().max(), Some(&HIGHEST));
    assert!(versions.contains(&LOWEST));
}
