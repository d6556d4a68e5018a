//! `opsmart erase`: nothing of a person stays in the warehouse, and nothing comes back.

use std::fs::File;

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::scratch::Scratch;

const WHO: &str = "u_erased";

/// Visits of users, some of which do not fit, and what they bought.
fn visits() -> Scratch {
    let scratch = Scratch::with(&[
        ("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n"),
        ("jobs/all.toml", "ingest = [\"visits\"]\n"),
        (
            "schemas/sources/visits.toml",
            r#"from = "{landing}/visits-*.csv"
format = { type = "csv" }
key = ["id"]
keep = { latest = "at" }
partition = { day = "at" }
rejected_share = 0.5
[columns]
id = "int64!"
at = "timestamp!"
user = { type = "string", normalise = ["trim", "lower"] }
note = { type = "string", null = ["n/a"] }
"#,
        ),
        ("sql/staging/stg_visits.sql", "select id, local_day(at, $reporting_zone) as day, user, note from visits\n"),
        ("sql/marts/fct_visit.sql", "select id, day, user, note from stg_visits\n"),
        ("schemas/models/fct_visit.toml", "key = [\"id\"]\npartition = { day = \"day\" }\n"),
        ("sql/kpi/kpi_visit_daily.sql", "select day, count(*) as visits from fct_visit group by day\n"),
        ("schemas/models/kpi_visit_daily.toml", "key = [\"day\"]\npartition = { day = \"day\" }\n"),
        (
            "landing/visits-1.csv",
            "id,at,user,note
1,2024-03-01T10:00:00Z,u_erased,a
2,2024-03-01T11:00:00Z,u_2,b
3,2024-03-02T10:00:00Z,u_2,c
1,2024-03-01T09:00:00Z, U_ERASED ,older
",
        ),
        (
            "landing/visits-2.csv",
            r#"id,at,user,note
not one,2024-03-02T10:00:00Z,u_erased,broken
not two,2024-03-02T10:00:00Z,u_2,broken
4,2024-03-03T10:00:00Z,"u_erased,torn
5,2024-03-03T10:00:00Z,u_3,d
6,2024-03-04T10:00:00Z,u_3,e
7,2024-03-04T10:00:00Z,u_3,f
"#,
        ),
    ]);
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    scratch
}

/// Returns the files of the warehouse in which a value of any column, or any text, has the name in it.
fn traces(scratch: &Scratch) -> Vec<String> {
    let mut found = Vec::new();
    for (path, bytes) in scratch.files("warehouse") {
        let name = path.display().to_string();
        let is_named = if name.ends_with(".parquet") {
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap().build().unwrap();
            reader.map(Result::unwrap).any(|batch| {
                batch.columns().iter().any(|column| match column.data_type() {
                    DataType::Utf8 => column.as_string::<i32>().iter().flatten().any(has_name),
                    DataType::Binary => column
                        .as_binary::<i32>()
                        .iter()
                        .flatten()
                        .any(|bytes| has_name(&String::from_utf8_lossy(bytes))),
                    _ => false,
                })
            })
        } else {
            has_name(&String::from_utf8_lossy(&bytes))
        };
        if is_named {
            found.push(name);
        }
    }
    found
}

fn has_name(text: &str) -> bool {
    text.to_lowercase().contains(WHO)
}

#[test]
fn nothing_of_a_person_stays_and_nothing_comes_back() {
    let scratch = visits();
    assert!(traces(&scratch).len() > 3, "{:?}", traces(&scratch));
    let said = scratch.run(&["erase", "visits.user=u_erased"]).exits(0).stderr;
    assert!(said.contains("removed 1 earlier snapshot"), "{said}");
    assert_eq!(traces(&scratch), Vec::<String>::new());
    // The project remembers a digest and no name.
    assert!(!has_name(&std::fs::read_to_string(scratch.path("schemas/erased.toml")).unwrap()));
    assert_eq!(
        scratch.rows("select day, visits from kpi_visit_daily order by day"),
        ["2024-03-01,1", "2024-03-02,1", "2024-03-03,1", "2024-03-04,2"]
    );
    // Its records are told by their place. Of one that cannot be cut into fields nobody can tell whose it is.
    assert_eq!(
        scratch.rows("select file, line, reason, record = '' as is_empty from dq_quarantine order by file, line"),
        [
            "landing/visits-1.csv,2,E_ERASED,true",
            "landing/visits-1.csv,5,E_ERASED,true",
            "landing/visits-2.csv,2,E_ERASED,true",
            "landing/visits-2.csv,3,E_TYPE,false",
            "landing/visits-2.csv,4,E_QUOTE,true",
        ]
    );
    assert_eq!(
        scratch.rows(
            "select sum(records - accepted - quarantined - blank), sum(rows - clean - superseded) from dq_ledger"
        ),
        ["0,0"]
    );
    // What lands later of the same person is not taken in, and no share of what does not fit.
    scratch.write("landing/visits-3.csv", "id,at,user,note\n8,2024-03-05T10:00:00Z,u_erased,g\n");
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    assert_eq!(traces(&scratch), Vec::<String>::new());
    assert_eq!(scratch.rows("select count(*) from fct_visit"), ["5"]);
    let _ = scratch.run(&["verify", "--files"]).exits(0);
}

#[test]
fn what_else_has_the_records_is_told_first() {
    let scratch = visits();
    for (subject, words) in [
        ("visits.user", "`visits.user` does not say whose records"),
        ("visits.user=", "`visits.user=` does not say whose records"),
        ("visits.user= ", "`visits.user= ` does not say whose records"),
        (
            "visits.id=abc",
            "`abc` is no value of `visits.id`: expected a whole number, found `abc`\nhelp: `visits.id` is int64; write a \
             value as a field of a file has it",
        ),
        ("visits.at=1980-1-2", "`1980-1-2` is no value of `visits.at`: expected a time such as"),
        ("visits.note=n/a", "`n/a` stands for no value in `visits.note`"),
        ("visit.user=u", "there is no dataset `visit`\nhelp: did you mean `visits`?"),
        ("visits.users=u", "`visits` has no column `users`\nhelp: did you mean `user`?"),
    ] {
        let said = scratch.run(&["erase", subject]).exits(2).stderr;
        assert!(said.contains(words), "{said}");
    }
    let _ = scratch.run(&["run", "--branch", "trial", "--quiet"]).exits(0);
    let said = scratch.run(&["erase", "visits.user=u_erased"]).exits(2).stderr;
    assert!(
        said.contains("branch `trial` has the records too\nhelp: remove it first: opsmart branch rm trial"),
        "{said}"
    );
    assert!(!scratch.path("schemas/erased.toml").exists());
    let _ = scratch.run(&["branch", "rm", "trial"]).exits(0);
    // A file of which the rest is kept has to be there to be read again.
    std::fs::remove_file(scratch.path("landing/visits-1.csv")).unwrap();
    let said = scratch.run(&["erase", "visits.user=u_erased"]);
    assert!(said.stderr.contains("landing/visits-1.csv"), "{}", said.stderr);
    assert_eq!(said.exits(1).stdout, "");
    assert_eq!(scratch.rows("select count(*) from fct_visit"), ["6"]);
    // What cannot be listed may have anybody.
    std::os::unix::fs::symlink("/dev/null", scratch.path("landing/visits-9.csv")).unwrap();
    let said = scratch.run(&["erase", "visits.user=u_nobody"]).exits(1).stderr;
    assert!(said.contains("`landing/visits-9.csv` is a link to a file elsewhere"), "{said}");
    std::fs::remove_file(scratch.path("landing/visits-9.csv")).unwrap();
    // Nothing was erased, so nothing is remembered, and the next run does not stumble over it.
    assert!(!scratch.path("schemas/erased.toml").exists());
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
}

#[test]
fn whatever_is_written_so_that_it_is_the_same_value_is_the_same_person() {
    let scratch = Scratch::with(&[
        ("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n"),
        (
            "schemas/sources/p.toml",
            r#"from = "{landing}/p.csv"
format = { type = "csv" }
rejected_share = 1
[columns]
row = "int64!"
email = { type = "string", normalise = ["trim", "email"] }
amount = "decimal(10,2)"
id = "int64"
born = { type = "date", format = "%d/%m/%Y" }
at = "timestamp"
name = "string"
n = { type = "int64", max = 5 }
ratio = "float64"
"#,
        ),
        ("sql/staging/stg_p.sql", "select * from p\n"),
        ("sql/marts/fct_p.sql", "select \"row\" from stg_p\n"),
        (
            "landing/p.csv",
            r#"row,email,amount,id,born,at,name,n,ratio
1,SECRETONE@x.com,,,,,,,
2, SecretOne@X.com ,,,,,,,
3,mailto:SECRETONE@x.com,,,,,,,
x,"SecretOne@x.com",,,,,,,
4,,12.50,,,,,,
5,,12.5,,,,,,
6,,,7,,,,,
7,,,+7,,,,,
8,,,007,,,,,
9,,,,02/01/1980,,,,
10,,,,1980-01-02,,,,
11,,,,,2024-01-01T00:00:00Z,,,
12,,,,,2024-01-01 08:00:00+08:00,,,
13,,,,,,null,,
14,,,,,,,,
15,,,,,," Ann ",,
16,,,,,,,9,
17,,,,,,,,-0.0
18,other@x.com,12.51,70,03/01/1980,2024-01-01T08:00:00Z,ann,5,1
y,,,8,,,,,
"#,
        ),
    ]);
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    let subjects = [
        "p.email=secretone@X.com",
        "p.amount=12.500",
        "p.id=+7",
        "p.born=1980-01-02",
        "p.at=2024-01-01T08:00:00+08:00",
        "p.name=null",
        "p.name=Ann",
        "p.n=+9",
        "p.ratio=0",
    ];
    let said = scratch.run(&[&["erase"], &subjects[..]].concat()).exits(0).stderr;
    assert!(said.contains("p: 17 landed records erased\n"), "{said}");
    assert_eq!(scratch.rows("select \"row\" from fct_p order by \"row\""), ["14", "18"]);
    assert_eq!(
        scratch.rows("select reason, record = '' as is_empty, count(*) from dq_quarantine group by 1, 2 order by 1"),
        ["E_ERASED,true,17", "E_TYPE,false,1"]
    );
}

#[test]
fn a_value_that_nobody_has_costs_nothing() {
    let scratch = visits();
    scratch.write("landing/visits-3.csv", "id,at,user,note\n8,2024-03-05T10:00:00Z,u_4,g\n");
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    let state = || {
        let files = scratch.files("warehouse").into_iter().filter(|(path, _)| !path.starts_with("warehouse/locks"));
        (files.collect::<Vec<_>>(), std::fs::read(scratch.path("schemas/erased.toml")).ok())
    };
    let before = state();
    let said = scratch.run(&["erase", "visits.user=u_eraset"]).exits(0).stderr;
    let expected = "no landed record has `visits.user=u_eraset`: nothing was erased for it
`--anyway` remembers who it is, and removes earlier snapshots
";
    assert_eq!(said, expected);
    assert!(state() == before);
    let said = scratch.run(&["erase", "--quiet", "--output", "json", "visits.user=u_eraset"]).exits(0);
    assert_eq!(
        said.stdout,
        "{\"datasets\":{},\"done\":true,\"not_found\":[\"visits.user=u_eraset\"],\"snapshots_removed\":[]}\n"
    );
    assert!(state() == before);
    // Of several only those that somebody has are erased and remembered.
    let said = scratch.run(&["erase", "visits.user=u_nobody", "visits.user=u_2"]).exits(0).stderr;
    assert!(said.contains("no landed record has `visits.user=u_nobody`"), "{said}");
    assert!(said.contains("visits: 3 landed records erased\nremoved 2 earlier snapshots"), "{said}");
    scratch.write("landing/visits-4.csv", "id,at,user,note\n9,2024-03-05T10:00:00Z,u_nobody,g\n");
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    assert_eq!(scratch.rows("select count(*) from fct_visit where user = 'u_nobody'"), ["1"]);
    // Who may land later, or is in earlier snapshots alone, is erased anyway.
    let said = scratch.run(&["erase", "--anyway", "visits.user=U_late"]).exits(0).stderr;
    assert!(said.contains("visits: 0 landed records erased\nremoved 2 earlier snapshots"), "{said}");
    scratch.write("landing/visits-5.csv", "id,at,user,note\n10,2024-03-05T10:00:00Z, u_LATE,g\n");
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    assert_eq!(scratch.rows("select count(*) from fct_visit where user = 'u_late'"), ["0"]);
    // Once more does no harm.
    let _ = scratch.run(&["erase", "--quiet", "visits.user=u_2"]).exits(0);
}

#[test]
fn who_is_forgotten_is_found_and_a_release_comes_before_the_rest() {
    let scratch = visits();
    let _ = scratch.run(&["forget", "--quiet", "landing/visits-1.csv"]).exits(0);
    assert!(!traces(&scratch).is_empty());
    let _ = scratch.run(&["erase", "--quiet", "visits.user=u_erased"]).exits(0);
    assert_eq!(traces(&scratch), Vec::<String>::new());

    let scratch = visits();
    scratch.write(
        "schemas/models/kpi_visit_daily.toml",
        "key = [\"day\"]\npartition = { day = \"day\" }\n[columns]\nvisits = { max_change = \"10%\" }\n",
    );
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    let said = scratch.run(&["erase", "visits.user=u_erased"]).exits(75).stderr;
    assert!(
        said.contains("error: the records are still in the current tables: the new ones wait for a release"),
        "{said}"
    );
    let _ = scratch.run(&["release", "--quiet"]).exits(0);
    let _ = scratch.run(&["erase", "--quiet", "visits.user=u_erased"]).exits(0);
    assert_eq!(traces(&scratch), Vec::<String>::new());
}

/// People and what they did, of whom one row in five may not fit.
fn people(acts: &str, notes: &str) -> Scratch {
    let scratch = Scratch::with(&[
        ("opsmart.toml", "reporting_zone = \"UTC\"\n[paths]\nlanding = \"landing\"\n"),
        (
            "schemas/sources/people.toml",
            r#"from = "{landing}/people.csv"
format = { type = "csv" }
rejected_share = 0.2
[columns]
id = "int64!"
who = "string"
n = "int64"
"#,
        ),
        ("landing/people.csv", "id,who,n\n1,P,1\n2,P,1\n3,P,1\n4,P,1\n5,q,1\n6,q,bad\n"),
        (
            "schemas/sources/acts.toml",
            r#"from = "{landing}/acts.csv"
format = { type = "csv" }
key = ["act"]
rejected_share = 0.2
[columns]
act = "int64!"
who = { type = "int64", references = "people.id" }
"#,
        ),
        ("landing/acts.csv", acts),
        (
            "schemas/sources/notes.toml",
            r#"from = "{landing}/notes.csv"
format = { type = "csv" }
rejected_share = 0.2
[columns]
act = { type = "int64", references = "acts.act" }
"#,
        ),
        ("landing/notes.csv", notes),
        ("sql/staging/stg_acts.sql", "select act, who from acts\n"),
        ("sql/marts/fct_act.sql", "select act, who from stg_acts\n"),
    ]);
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    scratch
}

#[test]
fn a_file_that_was_taken_in_does_not_fail_for_what_is_erased() {
    let scratch = people("act,who\n1,1\n2,2\n3,3\n4,4\n5,1\n6,1\n7,5\n", "act\n1\n2\n3\n7\n");
    let _ = scratch.run(&["erase", "--quiet", "people.who=P"]).exits(0);
    assert_eq!(scratch.rows("select id from people"), ["5"]);
    // What references them is set aside, and what references that, and neither counts.
    assert_eq!(scratch.rows("select act from acts"), ["7"]);
    assert_eq!(scratch.rows("select act from notes"), ["7"]);
    assert_eq!(
        scratch.rows(
            "select dataset, reason, count(*) from dq_quarantine group by dataset, reason order by dataset, reason"
        ),
        ["acts,E_FK,6", "notes,E_FK,3", "people,E_ERASED,4", "people,E_TYPE,1"]
    );
    // It holds for the next run, and for one from nothing.
    scratch.write("landing/acts.csv", "act,who\n1,1\n2,2\n3,3\n4,4\n5,1\n6,1\n7,5\n8,5\n");
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    std::fs::remove_dir_all(scratch.path("warehouse")).unwrap();
    let _ = scratch.run(&["run", "--quiet"]).exits(0);
    assert_eq!(scratch.rows("select act from acts order by act"), ["7", "8"]);
    // What cannot be theirs still counts: four were erased, and these are seven others.
    scratch.write("landing/acts.csv", "act,who\n1,11\n2,12\n3,13\n4,14\n5,15\n6,16\n7,17\n");
    let said = scratch.run(&["run"]).exits(1).stderr;
    assert!(said.contains("3 of the 7 records of `landing/acts.csv` do not fit"), "{said}");
}

#[test]
fn a_version_that_counts_again_does_not_fail_its_file() {
    // The newest version of the act is erased, and the one before references what is not there.
    let scratch = people("act,who\n1,9\n1,1\n", "act\n1\n");
    let _ = scratch.run(&["erase", "--quiet", "acts.who=1"]).exits(0);
    assert_eq!(
        scratch.rows("select reason from dq_quarantine where dataset = 'acts' order by reason"),
        ["E_ERASED", "E_FK"]
    );
}
