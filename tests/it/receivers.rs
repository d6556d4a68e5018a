//! A run tells lineage to whoever `OPENLINEAGE_URL` names, and depends on nobody who is named there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};

use crate::scratch::Scratch;

/// One request: its head, a line each, and its body.
type Request = (Vec<String>, String);

/// Listens, gives every request the same answer, and hands on what came.
fn receiver(answer: String) -> (String, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    let (to, came) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = request(&stream);
            stream.write_all(answer.as_bytes()).unwrap();
            if to.send(request).is_err() {
                return;
            }
        }
    });
    (address, came)
}

fn request(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let length = head.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap()];
    reader.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

/// Answers with a status, and closes the connection.
fn with(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

/// Prepares a run that tells lineage.
fn telling(scratch: &Scratch, url: &str) -> Command {
    let mut command = scratch.command(&["run", "orders", "--quiet"]);
    command.env("OPENLINEAGE_URL", url).env("NO_PROXY", "*");
    command
}

/// Returns the events that the newest run left in its file.
fn left(scratch: &Scratch) -> Vec<String> {
    let runs = std::fs::read_dir(scratch.path("warehouse/runs")).unwrap();
    let newest = runs.map(|run| run.unwrap().path()).max().unwrap();
    std::fs::read_to_string(newest.join("lineage.ndjson")).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_receiver_gets_the_events_that_are_in_the_file_and_the_key() {
    let scratch = Scratch::orders();
    let (address, came) = receiver(with("201 Created"));
    let mut run = telling(&scratch, &format!("http://{address}"));
    let said = run.env("OPENLINEAGE_API_KEY", "k3y").output().unwrap();
    assert_eq!((said.status.code(), String::from_utf8(said.stderr).unwrap().as_str()), (Some(0), ""));
    let requests: Vec<Request> = came.try_iter().collect();
    let bodies: Vec<&str> = requests.iter().map(|(_, body)| body.as_str()).collect();
    assert_eq!(bodies, left(&scratch));
    for (head, _) in &requests {
        assert_eq!(head[0], "POST /api/v1/lineage HTTP/1.1");
        let head: Vec<String> = head.iter().map(|line| line.to_ascii_lowercase()).collect();
        assert!(head.contains(&"authorization: bearer k3y".to_owned()), "{head:?}");
        assert!(head.contains(&"content-type: application/json".to_owned()), "{head:?}");
    }

    // Nothing new is no news, and one that is turned off is not told.
    assert!(telling(&scratch, &format!("http://{address}")).status().unwrap().success());
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T10:00:00Z,1.00\n");
    let mut run = telling(&scratch, &format!("http://{address}"));
    assert!(run.env("OPENLINEAGE_DISABLED", "true").status().unwrap().success());
    assert_eq!(came.try_iter().count(), 0);

    // What failed is told too.
    scratch.write("landing/orders-3.csv", "id,at,amount\n4,2024-03-02T10:00:00Z,-1.00\n");
    let mut run = telling(&scratch, &format!("http://{address}/desk/"));
    assert_eq!(run.env("OPENLINEAGE_ENDPOINT", "events").output().unwrap().status.code(), Some(1));
    let requests: Vec<Request> = came.try_iter().collect();
    assert!(requests.iter().all(|(head, _)| head[0] == "POST /desk/events HTTP/1.1"), "{requests:?}");
    assert!(requests[1].1.contains(r#""eventType":"FAIL""#), "{requests:?}");
}

#[test]
fn a_run_is_not_failed_by_a_receiver_and_says_what_it_did() {
    let (elsewhere, came_elsewhere) = receiver(with("201 Created"));
    let redirect = format!("307 Temporary Redirect\r\nLocation: http://{elsewhere}/");
    for (status, shown) in [
        ("500 Internal Server Error", "answered 500 Internal Server Error"),
        ("422 Unprocessable Entity", "answered 422 Unprocessable Entity"),
        (redirect.as_str(), "answered 307 Temporary Redirect"),
    ] {
        let scratch = Scratch::orders();
        let (address, came) = receiver(with(status));
        let mut run = telling(&scratch, &format!("http://me:w0rd@{address}?token=t0ken"));
        let said = run.env("OPENLINEAGE_API_KEY", "k3y").output().unwrap();
        let stderr = String::from_utf8(said.stderr).unwrap();
        assert_eq!(said.status.code(), Some(0), "{stderr}");
        assert!(stderr.contains(&format!("http://{address}/api/v1/lineage {shown}")), "{stderr}");
        assert!(stderr.contains("lineage of the run was not sent, and stays in "), "{stderr}");
        for secret in ["w0rd", "t0ken", "k3y"] {
            assert!(!stderr.contains(secret), "{stderr}");
        }
        assert_eq!((came.try_iter().count(), left(&scratch).len()), (1, 2));
    }
    assert_eq!(came_elsewhere.try_iter().count(), 0);

    // What is no HTTP at all.
    let scratch = Scratch::orders();
    let (address, _came) = receiver("SSH-2.0-x\r\n".to_owned());
    let said = telling(&scratch, &format!("http://{address}")).output().unwrap();
    assert_eq!(said.status.code(), Some(0));
    assert!(String::from_utf8(said.stderr).unwrap().contains("was not reached: "));
    let said = telling(&Scratch::orders(), "marquez:5000").output().unwrap();
    assert_eq!(said.status.code(), Some(0));
    assert!(String::from_utf8(said.stderr).unwrap().contains("OPENLINEAGE_URL is not an address such as "));
}

#[test]
fn nobody_waits_for_a_receiver_that_is_slow_but_the_run_that_tells_it() {
    let scratch = Scratch::orders();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut run = telling(&scratch, &format!("http://{address}")).spawn().unwrap();
    // It says nothing, and does not hang up either.
    let silent = listener.accept().unwrap();
    scratch.write("landing/orders-2.csv", "id,at,amount\n3,2024-03-02T10:00:00Z,1.00\n");
    let _ = scratch.run(&["run", "orders", "--quiet"]).exits(0);
    assert!(run.wait().unwrap().success());
    drop(silent);
}
