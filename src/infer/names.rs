//! Names of fields to names of columns.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::project::is_name;

/// Returns a column's name for each field's name, all different; a name that can stay does.
pub(super) fn column_names(fields: &[String]) -> Vec<String> {
    let mut taken: BTreeSet<String> = fields.iter().filter(|field| is_name(field)).cloned().collect();
    let named = fields.iter().enumerate().map(|(at, field)| {
        if is_name(field) {
            return field.clone();
        }
        let base = snake(field).unwrap_or_else(|| format!("column_{}", at + 1));
        // A suffix for every name but the first; there are more numbers than fields.
        let mut names = std::iter::once(base.clone()).chain((2..).map(|number| format!("{base}_{number}")));
        let name = names.find(|name| !taken.contains(name)).unwrap_or(base);
        taken.insert(name.clone());
        name
    });
    named.collect()
}

/// Returns a name in words of small letters; nothing if no letter of it can stay.
fn snake(field: &str) -> Option<String> {
    let field = &latin(field);
    let mut name = String::new();
    let mut last = None;
    for c in field.chars() {
        let starts_word = c.is_ascii_uppercase() && last.is_some_and(|last: char| last.is_ascii_lowercase());
        if (starts_word || !c.is_ascii_alphanumeric()) && !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        }
        last = Some(c);
    }
    let name = name.trim_end_matches('_');
    if name.is_empty() || !name.contains(|c: char| c.is_ascii_lowercase()) {
        return None;
    }
    Some(if is_name(name) { name.to_owned() } else { format!("n_{name}") })
}

/// Returns a text with its letters as English keyboards have them: `ä` as `ae`, `ß` as `ss`, others without their marks.
fn latin(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.nfc() {
        let spelled = match c {
            'ä' | 'æ' => "ae",
            'ö' | 'ø' | 'œ' => "oe",
            'ü' => "ue",
            'ß' | 'ẞ' => "ss",
            'å' => "aa",
            'Ä' | 'Æ' => "AE",
            'Ö' | 'Ø' | 'Œ' => "OE",
            'Ü' => "UE",
            'Å' => "AA",
            'ł' => "l",
            'Ł' => "L",
            'đ' | 'ð' => "d",
            'Đ' | 'Ð' => "D",
            'þ' | 'Þ' => "th",
            'ı' => "i",
            _ => {
                plain.extend(c.nfkd().filter(|part| !is_combining_mark(*part)));
                continue;
            }
        };
        plain.push_str(spelled);
    }
    plain
}

/// Returns whether a text has letters of scripts that stand for words, in which no column can be named.
pub(super) fn is_chinese(text: &str) -> bool {
    text.chars().any(|c| matches!(c, '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{2ffff}'))
}

/// Returns the words of a column's name.
pub(super) fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split('_')
}

/// Returns whether a column is called like something that tells rows apart.
pub(super) fn is_identifier(name: &str) -> bool {
    const LIKE: [&str; 9] = ["id", "uuid", "guid", "key", "number", "no", "code", "nr", "ref"];
    words(name).last().is_some_and(|word| LIKE.contains(&word))
}

/// Returns the last word of a column's name that is no number, such as `zip` of `zip_2`.
fn last_word(name: &str) -> &str {
    let is_number = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let word = words(name).filter(|word| !is_number(word)).last().unwrap_or(name);
    word.trim_end_matches(|c: char| c.is_ascii_digit())
}

/// Returns whether a column is called like a code: something with which nobody reckons, however much its texts look
/// like numbers, and which may begin with a zero.
pub(super) fn is_code(name: &str) -> bool {
    const LIKE: [&str; 58] = [
        "code",
        "zip",
        "zipcode",
        "postcode",
        "postal",
        "plz",
        "phone",
        "telephone",
        "telefon",
        "tel",
        "mobile",
        "fax",
        "version",
        "ver",
        "release",
        "build",
        "sku",
        "ean",
        "upc",
        "gtin",
        "isbn",
        "issn",
        "asin",
        "barcode",
        "serial",
        "imei",
        "imsi",
        "iccid",
        "msisdn",
        "iban",
        "bic",
        "swift",
        "account",
        "acct",
        "hash",
        "sha",
        "md5",
        "checksum",
        "digest",
        "etag",
        "token",
        "fingerprint",
        "hex",
        "tracking",
        "voucher",
        "coupon",
        "license",
        "plate",
        "passport",
        "ssn",
        "vat",
        "lot",
        "batch",
        "commit",
        "revision",
        "cusip",
        "isin",
        "sedol",
    ];
    // Numbers that something bears, and not those of which there are so many.
    const BORNE: [&str; 5] = ["number", "no", "nr", "num", "ref"];
    const BEARERS: [&str; 16] = [
        "account",
        "phone",
        "telephone",
        "mobile",
        "fax",
        "serial",
        "card",
        "tax",
        "vat",
        "passport",
        "part",
        "article",
        "customer",
        "tracking",
        "social",
        "bank",
    ];
    let last = last_word(name);
    LIKE.contains(&last) || BORNE.contains(&last) && words(name).any(|word| BEARERS.contains(&word))
}

/// Returns whether a column is called like an identifier or a code; of those written in one word, too.
pub(super) fn names_things(name: &str) -> bool {
    const NONE: [&str; 26] = [
        "paid", "unpaid", "prepaid", "postpaid", "repaid", "valid", "invalid", "void", "avoid", "solid", "liquid",
        "fluid", "rapid", "hybrid", "grid", "bid", "mid", "covid", "android", "plaid", "raid", "said", "laid", "acid",
        "centroid", "humid",
    ];
    let last = last_word(name);
    let is_joined = last.len() > 3 && last.ends_with("id") && !NONE.contains(&last);
    is_identifier(name) || is_code(name) || is_joined || ["id", "ids", "uuids", "number"].contains(&last)
}

/// Words at the end of a dataset's name that say nothing of what its records are.
const PADDING: [&str; 14] = [
    "data", "export", "exports", "raw", "feed", "list", "table", "records", "record", "all", "file", "files", "dump",
    "full",
];

/// Words at the end of a dataset's name after which a record is no thing of its own, but what became of one.
const OF_THINGS: [&str; 35] = [
    "history",
    "histories",
    "log",
    "logs",
    "version",
    "versions",
    "change",
    "changes",
    "snapshot",
    "snapshots",
    "audit",
    "audits",
    "link",
    "links",
    "map",
    "maps",
    "mapping",
    "mappings",
    "daily",
    "weekly",
    "monthly",
    "hourly",
    "yearly",
    "status",
    "statuses",
    "states",
    "tags",
    "labels",
    "revision",
    "revisions",
    "update",
    "updates",
    "relation",
    "relations",
    "bridge",
];

/// Returns what one of `word` is called: `calls` is `call`, `histories` is `history`.
fn singular(word: &str) -> String {
    let plural_of = [("ies", "y"), ("sses", "ss"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"), ("uses", "us")];
    let found = plural_of.iter().find_map(|(many, one)| Some(format!("{}{one}", word.strip_suffix(many)?)));
    let is_plural = word.ends_with('s') && !word.ends_with("ss") && !word.ends_with("us") && word.len() > 2;
    found.unwrap_or_else(|| if is_plural { word[..word.len() - 1].to_owned() } else { word.to_owned() })
}

/// Returns the words of a dataset's name, each of one thing, without those at its end that say nothing.
fn things(dataset: &str) -> Vec<String> {
    let mut words: Vec<&str> = words(dataset).filter(|word| !word.is_empty()).collect();
    let says_nothing = |word: &str| PADDING.contains(&word) || word.bytes().all(|byte| byte.is_ascii_digit());
    while words.len() > 1 && words.last().is_some_and(|word| says_nothing(word)) {
        words.pop();
    }
    words.into_iter().map(singular).collect()
}

/// Returns whether `column` is called like that which tells the records of `dataset` apart, and not like that of
/// something that they belong to; `columns` are the names of all.
pub(super) fn is_own_identifier<'a>(dataset: &str, column: &str, mut columns: impl Iterator<Item = &'a str>) -> bool {
    const ENDS: [&str; 9] = ["id", "uuid", "guid", "key", "number", "no", "nr", "ref", "code"];
    let things = things(dataset);
    let is_of_things = words(dataset).any(|word| OF_THINGS.contains(&word));
    if ["id", "uuid", "guid", "key", "record_id"].contains(&column) {
        return !is_of_things;
    }
    let end = ENDS.iter().find(|end| column.ends_with(*end));
    let Some(stem) = end.map(|end| column[..column.len() - end.len()].trim_end_matches('_')) else { return false };
    let stem: Vec<String> = words(stem).map(singular).collect();
    if stem == things || stem.concat() == things.concat() {
        return true;
    }
    // `comment_id` of `ticket_comments`; but `conversation_id` of `contact_conversations` beside a `contact_id` may be
    // that of either, and what is called like part of a history is that of which it is one.
    let (before, is_last) = match things.len().checked_sub(stem.len()) {
        Some(at) => (&things[..at], things[at..] == stem[..]),
        None => return false,
    };
    let is_beside = |name: &str| {
        let id = ENDS.iter().find_map(|end| name.strip_suffix(end)).map(|stem| stem.trim_end_matches('_'));
        name != column && id.is_some_and(|stem| before.iter().any(|thing| *thing == singular(stem)))
    };
    is_last && !is_of_things && !columns.any(is_beside)
}

/// Returns whether a column, or its field in the file, is called like a time.
pub(super) fn is_time(name: &str, field: &str) -> bool {
    const LIKE: [&str; 16] = [
        "at",
        "time",
        "ts",
        "timestamp",
        "date",
        "day",
        "dt",
        "created",
        "updated",
        "modified",
        "epoch",
        "unix",
        "zeit",
        "datum",
        "uhrzeit",
        "fecha",
    ];
    words(name).any(|word| LIKE.contains(&word))
        || ["时间", "日期", "時間", "日時"].iter().any(|word| field.contains(word))
}

/// Returns whether a column is called like the time of a change.
pub(super) fn is_change(name: &str) -> bool {
    words(name).any(|word| CHANGES.contains(&word))
}

const CHANGES: [&str; 10] = [
    "updated",
    "modified",
    "changed",
    "update",
    "change",
    "modification",
    "version",
    "edited",
    "updatedat",
    "modifiedat",
];

/// Returns whether a column is called like the time of the last change of a record of `dataset`, and not like that of
/// something in it, such as `password_changed_at`.
pub(super) fn is_own_change(dataset: &str, name: &str) -> bool {
    const AROUND: [&str; 18] = [
        "last",
        "at",
        "on",
        "date",
        "time",
        "ts",
        "dt",
        "utc",
        "sys",
        "row",
        "record",
        "datetime",
        "timestamp",
        "when",
        "day",
        "src",
        "source",
        "system",
    ];
    let things = things(dataset);
    is_change(name)
        && words(name).all(|word| {
            CHANGES.contains(&word) || AROUND.contains(&word) || things.iter().any(|thing| *thing == singular(word))
        })
}

/// What the name of a time says of when it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// It has happened before its record lands.
    Past,
    /// It may well be ahead.
    Ahead,
    /// It may lie a lifetime back.
    LongAgo,
}

/// Returns when a time that is called so may be; `field` is its name in the file.
pub(super) fn expected(name: &str, field: &str) -> Expected {
    const LONG_AGO: [&str; 11] = [
        "birth",
        "birthday",
        "birthdate",
        "dob",
        "born",
        "founded",
        "established",
        "death",
        "geburt",
        "geburtsdatum",
        "nacimiento",
    ];
    const AHEAD: [&str; 69] = [
        "due",
        "expire",
        "expires",
        "expiry",
        "expiration",
        "expiring",
        "valid",
        "until",
        "till",
        "thru",
        "through",
        "planned",
        "plan",
        "scheduled",
        "schedule",
        "forecast",
        "target",
        "eta",
        "etd",
        "deadline",
        "renew",
        "renews",
        "renewal",
        "next",
        "maturity",
        "matures",
        "effective",
        "appointment",
        "review",
        "trial",
        "reminder",
        "remind",
        "snooze",
        "snoozed",
        "estimated",
        "expected",
        "promised",
        "promise",
        "release",
        "launch",
        "arrival",
        "arrives",
        "departure",
        "departs",
        "delivery",
        "travel",
        "meeting",
        "holiday",
        "calendar",
        "hire",
        "hired",
        "joining",
        "left",
        "leave",
        "leaving",
        "termination",
        "contract",
        "warranty",
        "retention",
        "followup",
        "follow",
        "resume",
        "resumes",
        "from",
        "to",
        "wanted",
        "breach",
        "breaches",
        "future",
    ];
    // Of a call, and of a contract.
    const EDGES: [&str; 6] = ["start", "starts", "begin", "begins", "end", "ends"];
    const OF_EVENTS: [&str; 5] = ["time", "ts", "timestamp", "datetime", "at"];
    const OTHERS: [&str; 12] = [
        "到期",
        "截止",
        "预计",
        "計劃",
        "计划",
        "有效期",
        "下次",
        "fällig",
        "geplant",
        "ablauf",
        "vencimiento",
        "échéance",
    ];
    if words(name).any(|word| LONG_AGO.contains(&word)) || ["生日", "出生"].iter().any(|word| field.contains(word))
    {
        return Expected::LongAgo;
    }
    let field = field.to_lowercase();
    let has = |list: &[&str]| words(name).any(|word| list.contains(&word));
    let is_ahead = has(&AHEAD) || has(&EDGES) && !has(&OF_EVENTS) || OTHERS.iter().any(|word| field.contains(word));
    if is_ahead { Expected::Ahead } else { Expected::Past }
}

/// Returns whether a number that is called so may have a fraction, even if none of a few has one.
pub(super) fn is_measure(name: &str) -> bool {
    const LIKE: [&str; 28] = [
        "amount",
        "price",
        "cost",
        "costs",
        "fee",
        "fees",
        "tax",
        "revenue",
        "salary",
        "balance",
        "rate",
        "ratio",
        "share",
        "percent",
        "percentage",
        "pct",
        "score",
        "weight",
        "discount",
        "margin",
        "net",
        "gross",
        "subtotal",
        "betrag",
        "preis",
        "umsatz",
        "temperature",
        "average",
    ];
    LIKE.contains(&last_word(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_words_and_stay_apart() {
        let fields = ["Adj Close", "adj_close", "createdAt", "2024", "订单号", "", "ID", "id", "_x", "A/B test", "1st"];
        assert_eq!(
            column_names(&fields.map(str::to_owned)),
            [
                "adj_close_2",
                "adj_close",
                "created_at",
                "column_4",
                "column_5",
                "column_6",
                "id_2",
                "id",
                "x",
                "a_b_test",
                "n_1st"
            ]
        );
    }

    #[test]
    fn letters_keep_their_sound() {
        let fields = [
            "Größe",
            "GRÖSSE",
            "Straße Nr.",
            "Prénom",
            "Año",
            "Łódź",
            "Zu\u{308}rich",
            "Wert (€)",
            "№",
            "ＩＤ",
            "订单",
        ];
        assert_eq!(
            column_names(&fields.map(str::to_owned)),
            ["groesse", "groesse_2", "strasse_nr", "prenom", "ano", "lodz", "zuerich", "wert", "no", "id", "column_11"]
        );
    }

    #[test]
    fn names_tell_identifiers_and_times() {
        assert!(is_identifier("ticket_id") && is_identifier("number") && !is_identifier("idle"));
        assert!(is_time("created_at", "") && !is_time("rate", "") && is_time("column_3", "创建时间"));
        assert!(is_change("sys_updated_at") && !is_change("created_at"));
    }

    #[test]
    fn codes_are_told_from_counts() {
        for name in ["zip", "zip_code", "app_version", "phone_2", "account_number", "sku", "sha256", "status_code"] {
            assert!(is_code(name) && names_things(name), "{name}");
        }
        for name in ["user_id", "userid", "user_pseudo_id", "number", "ids", "order_no"] {
            assert!(!is_code(name) && names_things(name), "{name}");
        }
        for name in ["paid", "valid", "amount", "house", "idle", "versions_count", "account_balance"] {
            assert!(!names_things(name), "{name}");
        }
    }

    #[test]
    fn a_datasets_own_identifier_is_told_from_those_of_others() {
        let own = |dataset: &str, column: &str, beside: &str| {
            is_own_identifier(dataset, column, beside.split(' ').chain([column]))
        };
        for (dataset, column, beside) in [
            ("tickets", "id", "requester_id"),
            ("tickets", "ticket_id", "requester_id"),
            ("tickets_export", "ticket_id", ""),
            ("calls", "call_id", "agent_id"),
            ("companies", "company_key", ""),
            ("addresses", "addressid", ""),
            ("ticket_events", "event_id", "user_id"),
            ("support_tickets", "ticket_id", ""),
            ("order_items", "order_item_id", "order_id"),
            ("comments", "id", "ticket_id"),
            ("ticket_history", "ticket_history_id", "ticket_id"),
            ("invoices_2024", "invoice_number", ""),
            ("statuses", "status_id", ""),
        ] {
            assert!(own(dataset, column, beside), "{dataset} {column} {beside}");
        }
        for (dataset, column, beside) in [
            ("links", "contact_id", "conversation_id"),
            ("comments", "ticket_id", ""),
            ("contact_conversations", "conversation_id", "contact_id"),
            ("contact_conversations", "contact_id", "conversation_id"),
            ("ticket_history", "ticket_id", ""),
            ("ticket_history", "id", ""),
            ("tickets", "email", ""),
            ("tickets", "number_of_users", ""),
            ("users", "day", "user_id"),
            ("seen", "no", ""),
            ("seen", "row_number", ""),
            ("orders", "order_date", ""),
        ] {
            assert!(!own(dataset, column, beside), "{dataset} {column} {beside}");
        }
    }

    #[test]
    fn a_change_is_that_of_the_record() {
        for name in ["updated_at", "last_modified", "sys_updated_on", "ticket_updated_at", "updated", "date_modified"] {
            assert!(is_own_change("tickets", name), "{name}");
        }
        for name in ["created_at", "password_changed_at", "conversation_updated_at", "status_changed_at", "date"] {
            assert!(!is_own_change("tickets", name), "{name}");
        }
    }

    #[test]
    fn names_tell_when_a_time_may_be() {
        for name in ["created_at", "at", "ended_at", "start_time", "order_date", "updated"] {
            assert_eq!(expected(name, name), Expected::Past, "{name}");
        }
        for name in ["due_at", "valid_to", "valid_from", "expires_at", "next_review", "planned_start", "end_date"] {
            assert_eq!(expected(name, name), Expected::Ahead, "{name}");
        }
        assert_eq!(expected("column_3", "到期日"), Expected::Ahead);
        assert_eq!(expected("date_of_birth", ""), Expected::LongAgo);
    }
}
