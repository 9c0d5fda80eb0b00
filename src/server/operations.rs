//! What each path does, for those who write clients: the words and types of `/openapi.json`. The table of `routes` names
//! one of these for every path.

use super::actions::{ActionRequest, Done, OF_PIPELINE, OF_TIER, Verb};
use super::compare::CompareView;
use super::definition::DefinitionText;
use super::history::{HistoryView, StoryView};
use super::journal::JournalView;
use super::log_lines::{LogIndex, LogMatch};
use super::login::{LoginRequest, NoFields, WhoView};
use super::measures::MeasuresView;
use super::plan::PlanRequest;
use super::rebuild::{RebuildAnswer, RebuildRequest};
use super::runs::RunView;
use super::state::OnePipeline;
use super::view::StateView;
use super::webhook::DeliveryAnswer;
use super::why::WhyView;
use crate::domain::plan::Plan;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// The schema of a type.
pub(super) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What a path does.
pub(super) struct Operation {
    /// Its name in clients that are made from the description.
    pub(super) id: &'static str,
    /// What it does, one line.
    pub(super) summary: &'static str,
    /// What more there is to say of it.
    pub(super) more: &'static str,
    /// Query parameters and headers; those of the path follow from the path, `Idempotency-Key` from the method.
    pub(super) parameters: &'static [Parameter],
    /// What the body is.
    pub(super) body: Option<Shape>,
    /// How it answers when nothing is wrong.
    pub(super) answers: &'static [Answer],
    /// What `{action}` may be; each is described as a path of its own.
    pub(super) verbs: &'static [Verb],
}

/// A query parameter or header.
pub(super) struct Parameter {
    pub(super) place: &'static str,
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) shape: Shape,
}

/// An answer when nothing is wrong.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) about: &'static str,
    /// Content types, and what they hold.
    pub(super) content: &'static [Content],
}

/// A content type, and what it holds.
pub(super) struct Content {
    pub(super) kind: &'static str,
    pub(super) shape: Shape,
    /// Of a stream of things: one of them.
    pub(super) item: Option<Shape>,
}

pub(super) const FRONT: Operation = Operation {
    id: "front",
    summary: "The web page.",
    more: "It is made of scripts that ask for the rest as any other client does.",
    answers: &[ok("The page.", &[content("text/html; charset=utf-8", text)])],
    ..PLAIN
};

pub(super) const PAGE: Operation =
    Operation { id: "page", summary: "The same at the addresses of its parts.", ..FRONT };

pub(super) const ASSET: Operation = Operation {
    id: "asset",
    summary: "A file that the page is made of.",
    more: "What is in it never changes: another release has another `build`.",
    parameters: &[header("If-None-Match", "An `ETag` that is known already.", text)],
    answers: &[
        ok(
            "The file.",
            &[
                content("text/javascript; charset=utf-8", text),
                content("text/css; charset=utf-8", text),
                content("image/svg+xml", text),
            ],
        ),
        Answer { status: 304, about: "It is the one that is known.", content: &[] },
    ],
    ..PLAIN
};

pub(super) const WHOAMI: Operation = Operation {
    id: "whoami",
    summary: "Whose token was shown, and what it may do.",
    answers: &[ok("Who asks.", &[content("application/json", shape::<WhoView>)])],
    ..PLAIN
};

pub(super) const LOGIN: Operation = Operation {
    id: "login",
    summary: "Signs a browser in.",
    more: "The answer sets a cookie (`HttpOnly`, `SameSite=Strict`) that stands for the token for twelve hours, and as long \
           as the token holds. A change by cookie must come with the `Origin` of the controller itself.",
    body: Some(shape::<LoginRequest>),
    answers: &[ok("Who signed in.", &[content("application/json", shape::<WhoView>)])],
    ..PLAIN
};

pub(super) const LOGOUT: Operation = Operation {
    id: "logout",
    summary: "Signs a browser out: it forgets the cookie.",
    body: Some(shape::<NoFields>),
    answers: &[ok("Nobody is signed in.", &[content("application/json", shape::<WhoView>)])],
    ..PLAIN
};

pub(super) const HISTORY: Operation = Operation {
    id: "history",
    summary: "What happened, newest first, page by page.",
    more: "A page may hold fewer events than `limit`, or none, and still have a `before`: a search looks at so many \
           events at a time.",
    parameters: &[
        query("before", "Only events older than the one of this number.", number),
        query("limit", "Most events of a page; 100 unless told otherwise.", history_limit),
        PIPELINE_FILTER,
        TIER_FILTER,
        KIND_FILTER,
        query("text", "Only events in whose JSON this stands; capital letters count as small ones.", text),
        query("by", "Only what a person or token caused.", switch),
    ],
    answers: &[ok("The events.", &[content("application/json", shape::<HistoryView>)])],
    ..PLAIN
};

pub(super) const STORY: Operation = Operation {
    id: "version",
    summary: "One version, and everything that happened to it.",
    answers: &[ok("The version.", &[content("application/json", shape::<StoryView>)])],
    ..PLAIN
};

pub(super) const MEASURES: Operation = Operation {
    id: "measures",
    summary: "How well deliveries go: the measures of DORA, gates, and what versions wait for.",
    parameters: &[
        query("days", "How far back; 30 days unless told otherwise.", days),
        query("pipeline", "Only this pipeline, or these.", texts),
    ],
    answers: &[ok("The measures.", &[content("application/json", shape::<MeasuresView>)])],
    ..PLAIN
};

pub(super) const JOURNAL: Operation = Operation {
    id: "journal",
    summary: "How far the journal's chain has come: a head to be noted elsewhere.",
    answers: &[ok("The head.", &[content("application/json", shape::<JournalView>)])],
    ..PLAIN
};

pub(super) const DEFINITION: Operation = Operation {
    id: "definition",
    summary: "The definition in force, as its file was read.",
    answers: &[ok("The definition.", &[content("application/json", shape::<DefinitionText>)])],
    ..PLAIN
};

pub(super) const COMPARE: Operation = Operation {
    id: "compare",
    summary: "What the current version of one tier has and that of another has not.",
    parameters: &[query("from", "A tier.", text), query("to", "Another tier.", text)],
    answers: &[ok("Both sides.", &[content("application/json", shape::<CompareView>)])],
    ..PLAIN
};

pub(super) const HEALTHZ: Operation = Operation {
    id: "healthz",
    summary: "Whether it lives: it answers.",
    answers: &[ok("It lives.", &[content("text/plain; charset=utf-8", text)])],
    ..PLAIN
};

pub(super) const READYZ: Operation = Operation {
    id: "readyz",
    summary: "Whether it takes commands: 503 while it starts and stops.",
    answers: &[ok("It does.", &[content("text/plain; charset=utf-8", text)])],
    ..PLAIN
};

pub(super) const OPENAPI: Operation = Operation {
    id: "openapi",
    summary: "This description.",
    answers: &[ok("OpenAPI 3.1.", &[content("application/json", any)])],
    ..PLAIN
};

pub(super) const METRICS: Operation = Operation {
    id: "metrics",
    summary: "Numbers for Prometheus.",
    more: "Text format 0.0.4, or OpenMetrics if `Accept` asks for it. Counters count from the start of the controller. \
           A token that is limited to pipelines gets the numbers of these, and none of the controller as a whole.",
    parameters: &[header("Accept", "`application/openmetrics-text` for that format.", text)],
    answers: &[ok(
        "The numbers.",
        &[
            content("text/plain; version=0.0.4; charset=utf-8", text),
            content("application/openmetrics-text; version=1.0.0; charset=utf-8", text),
        ],
    )],
    ..PLAIN
};

pub(super) const REBUILD: Operation = Operation {
    id: "rebuild",
    summary: "Takes a push, or a person's wish for a build.",
    more: "What the hook of a repository calls. Without `pipeline` it is for every pipeline of `repo`; with neither, \
           for the only pipeline there is. A token that is limited to tiers may not. Answered when it is durable, \
           before anything is built.",
    body: Some(shape::<RebuildRequest>),
    answers: &[Answer {
        status: 202,
        about: "What became of it in each pipeline.",
        content: &[content("application/json", shape::<RebuildAnswer>)],
    }],
    ..PLAIN
};

pub(super) const WEBHOOK: Operation = Operation {
    id: "webhook",
    summary: "Takes a delivery of a forge: a push to look at.",
    more: "Signed with the secret of `[webhook.FORGE]` in `tidegate.toml`, as the forge signs: an HMAC-SHA256 of the body, \
           or GitLab's token. What it says is only a hint: git is asked where the ref stands. A repeated delivery is \
           answered as the first.",
    body: Some(any),
    answers: &[
        ok(
            "It is no push, or no pipeline is concerned.",
            &[content("application/json", shape::<DeliveryAnswer>)],
        ),
        Answer {
            status: 202,
            about: "What became of it, or that it is still being looked at.",
            content: &[content("application/json", shape::<DeliveryAnswer>)],
        },
    ],
    ..PLAIN
};

pub(super) const PLAN: Operation = Operation {
    id: "plan",
    summary: "What a definition would change, and what the next version would do with it.",
    more: "Nothing is changed. Two are made at once; more are answered with 429 and `Retry-After`.",
    body: Some(shape::<PlanRequest>),
    answers: &[ok("The plan.", &[content("application/json", shape::<Plan>)])],
    ..PLAIN
};

pub(super) const EVENTS: Operation = Operation {
    id: "events",
    summary: "What happens, as it happens: a WebSocket, or server-sent events.",
    more: "As a WebSocket each text frame is one event. It is closed with 1001 when the controller stops, 1013 when \
           nothing was read for too long, 4401 when the token was revoked or has ended, 4404 when `since` is from the \
           future. With \
           `Accept: text/event-stream` each event's `id` is its number in the journal.",
    parameters: &[
        SINCE,
        PIPELINE_FILTER,
        TIER_FILTER,
        KIND_FILTER,
        RUN_FILTER,
        LOGS_FILTER,
        header(
            "Last-Event-ID",
            "As `since`, and goes before it: how far a browser came that asks again.",
            number,
        ),
    ],
    answers: &[
        Answer { status: 101, about: "The WebSocket is open.", content: &[] },
        ok("Events until one side closes.", &[stream("text/event-stream")]),
    ],
    ..PLAIN
};

pub(super) const PAST: Operation = Operation {
    id: "pastEvents",
    summary: "What happened up to now, one JSON object a line.",
    more: "If retention has removed what comes after `since`, the first line is of kind `gap`.",
    parameters: &[SINCE, PIPELINE_FILTER, TIER_FILTER, KIND_FILTER, RUN_FILTER, LOGS_FILTER],
    answers: &[ok("The events.", &[stream("application/x-ndjson")])],
    ..PLAIN
};

pub(super) const STATE: Operation = Operation {
    id: "state",
    summary: "Everything that is true now, at the event that it names.",
    parameters: &[LIMIT],
    answers: &[ok("The state.", &[content("application/json", shape::<StateView>)])],
    ..PLAIN
};

pub(super) const PIPELINES: Operation =
    Operation { id: "pipelines", summary: "All pipelines: the same as `/api/state`.", ..STATE };

pub(super) const PIPELINE: Operation = Operation {
    id: "pipeline",
    summary: "One pipeline, with its versions page by page.",
    parameters: &[
        LIMIT,
        query(
            "before",
            "Only versions older than the one with this `order`: `older_before` of the last page.",
            number,
        ),
    ],
    answers: &[ok("The pipeline.", &[content("application/json", shape::<OnePipeline>)])],
    ..PLAIN
};

pub(super) const WHY: Operation = Operation {
    id: "why",
    summary: "What a version waits for on its way to a tier, and until when.",
    parameters: &[query("version", "The version; without it the newest that has not passed the tier.", text)],
    answers: &[ok("The way to the tier.", &[content("application/json", shape::<WhyView>)])],
    ..PLAIN
};

pub(super) const RUN: Operation = Operation {
    id: "run",
    summary: "One try of one step.",
    answers: &[ok("The run.", &[content("application/json", shape::<RunView>)])],
    ..PLAIN
};

pub(super) const LOG: Operation = Operation {
    id: "log",
    summary: "What a run wrote, byte for byte.",
    more: "Once it is complete, `ETag` is its SHA-256; of a file that is not as long as the run's `log_bytes` any more (a \
           disk lost the rest), or has holes instead of it, there is none. A range of a log that grows has an unknown length (`*`).",
    parameters: &[
        query("follow", "Whether to go on until the run ends.", switch),
        header(
            "Range",
            "One range of bytes, such as `bytes=1000-`; several are answered with the whole.",
            text,
        ),
        header("If-Range", "The `ETag` that the range is of; of another file the whole is sent.", text),
        header("If-None-Match", "An `ETag` that is known already.", text),
    ],
    answers: &[
        ok("All of it, or what there is of it.", &[content("text/plain; charset=utf-8", text)]),
        Answer {
            status: 206,
            about: "The range that was asked for.",
            content: &[content("text/plain; charset=utf-8", text)],
        },
        Answer { status: 304, about: "It is the one that is known.", content: &[] },
    ],
    ..PLAIN
};

pub(super) const LOG_INDEX: Operation = Operation {
    id: "logIndex",
    summary: "Where pages of lines begin in a log, so that it can be read from any line on.",
    more: "A page has at most 500 lines and about 128 KiB. A line that is longer than half a MiB goes on as another one.",
    parameters: &[
        query("from", "Only from the page on that begins at this offset.", number),
        query("line", "The lines before that page.", number),
    ],
    answers: &[ok("The pages.", &[content("application/json", shape::<LogIndex>)])],
    ..PLAIN
};

pub(super) const LOG_FIND: Operation = Operation {
    id: "logFind",
    summary: "The next line of a log in which a text stands.",
    parameters: &[
        query("text", "The text; capital letters of ASCII count as small ones.", text),
        query("line", "Only after this line; backwards: only before it.", number),
        query("backwards", "Whether to look for the last one before the line.", switch),
    ],
    answers: &[ok("Where it stands.", &[content("application/json", shape::<LogMatch>)])],
    ..PLAIN
};

pub(super) const ON_PIPELINE: Operation = Operation {
    id: "pipeline",
    body: Some(shape::<ActionRequest>),
    answers: &[DONE],
    verbs: OF_PIPELINE,
    ..PLAIN
};

pub(super) const ON_TIER: Operation = Operation { id: "tier", verbs: OF_TIER, ..ON_PIPELINE };

const PLAIN: Operation =
    Operation { id: "", summary: "", more: "", parameters: &[], body: None, answers: &[], verbs: &[] };

const DONE: Answer = ok("It is so.", &[content("application/json", shape::<Done>)]);

const SINCE: Parameter = query(
    "since",
    "Only what came after the event of this number; 0 is everything. One from the future is an error.",
    number,
);
const PIPELINE_FILTER: Parameter = query("pipeline", "Only events of this pipeline, or these.", texts);
const TIER_FILTER: Parameter = query("tier", "Only events about this tier, or these.", texts);
const KIND_FILTER: Parameter =
    query("kind", "Only events of this kind, or these; `gate_*` is all that begin so.", kinds);
const RUN_FILTER: Parameter = query("run", "Only events about this run.", number);
const LOGS_FILTER: Parameter =
    query("logs", "Whether chunks of logs are sent, too. They are unless told not to.", switch);
const LIMIT: Parameter =
    query("limit", "Most versions of a pipeline that are shown; 100 unless told otherwise.", limit);

const fn query(name: &'static str, about: &'static str, shape: Shape) -> Parameter {
    Parameter { place: "query", name, about, shape }
}

const fn header(name: &'static str, about: &'static str, shape: Shape) -> Parameter {
    Parameter { place: "header", name, about, shape }
}

const fn ok(about: &'static str, content: &'static [Content]) -> Answer {
    Answer { status: 200, about, content }
}

const fn content(kind: &'static str, shape: Shape) -> Content {
    Content { kind, shape, item: None }
}

const fn stream(kind: &'static str) -> Content {
    Content { kind, shape: text, item: Some(crate::wire::frame) }
}

fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn any(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string" })
}

fn texts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": "string" }, "maxItems": super::events::FILTER_LIMIT })
}

fn kinds(_: &mut SchemaGenerator) -> Schema {
    let kind = json_schema!({ "type": "string", "pattern": "^([^*]+\\*?|\\*)$" });
    json_schema!({ "type": "array", "items": kind, "maxItems": super::events::FILTER_LIMIT })
}

fn number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "uint64", "minimum": 0, "maximum": u64::MAX })
}

fn switch(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": [true, false, 1, 0, ""] })
}

fn history_limit(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": super::history::PAGE_LIMIT, "default": 100 })
}

fn days(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": super::measures::DAYS_LIMIT, "default": 30 })
}

fn limit(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 0, "maximum": super::state::VERSIONS_LIMIT, "default": 100 })
}
