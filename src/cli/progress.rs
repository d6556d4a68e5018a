//! Progress on a terminal, for work that takes longer than a second.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::print::Printer;
use crate::run::Event;

/// How long a run must take before people want to see it move.
const PATIENCE: Duration = Duration::from_secs(1);

/// A line at the bottom of the terminal that says what is going on; gone when dropped.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    is_shown: bool,
}

impl Progress {
    pub(super) fn new(printer: &Printer) -> Self {
        let is_wanted = !printer.is_quiet() && std::io::stderr().is_terminal();
        Self { bar: is_wanted.then(ProgressBar::hidden), started: Instant::now(), is_shown: false }
    }

    pub(super) fn event(&mut self, event: &Event) {
        let Some(bar) = &self.bar else { return };
        if !self.is_shown && self.started.elapsed() > PATIENCE {
            self.is_shown = true;
            bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        let message = match event {
            Event::Planned { files, models } => format!("{files} files to read, up to {models} models to build"),
            Event::Reading { dataset, files } => format!("reading {files} files of {dataset}"),
            Event::Read(dataset) => format!("read {}", dataset.dataset),
            Event::Building { model, number, total } => format!("building {model}, {number} of {total}"),
            Event::Built(table) => format!("built {}", table.table),
            Event::Checking { .. } => "checking".to_owned(),
            Event::Publishing => "publishing".to_owned(),
        };
        bar.set_message(message);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
