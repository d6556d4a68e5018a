//! Turns diagnostics into text in the shape that rustc made familiar.

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Diagnostics, Place};
use crate::visible;

impl Diagnostics {
    /// Renders warnings, an empty line after each.
    #[must_use]
    pub fn render_warnings(&self, colour: bool) -> String {
        self.iter().map(|warning| format!("{}\n\n", warning.render(colour))).collect()
    }

    /// Renders every mistake, an empty line between two, and a closing count.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let mut text = self.iter().map(|d| d.render(colour)).collect::<Vec<_>>().join("\n\n");
        let count = self.len();
        text.push_str(&format!("\n\n{count} mistake{}, nothing ran\n", if count == 1 { "" } else { "s" }));
        text
    }
}

impl Diagnostic {
    /// Renders one mistake or warning: code and message, where it is, the source line with a caret, and help. A mistake of a
    /// whole file shows the file's path alone. Nothing in it steers a terminal but the colours, if they are wanted.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let message = visible::lines(&self.message);
        let level = if self.code.is_warning() { Level::WARNING } else { Level::ERROR };
        let title = level.primary_title(&*message).id(self.code.as_str());
        let path = visible::line(self.at.file.path.as_str());
        let label = self.label.as_deref().map(visible::line);
        let related: Vec<_> = self.related.iter().map(|(place, words)| (place, visible::line(words))).collect();
        let help = self.help.as_deref().map(visible::lines);
        let (beside, elsewhere): (Vec<_>, Vec<_>) =
            related.iter().partition(|(place, _)| place.file.path == self.at.file.path && !place.is_whole());
        let mut group = Group::with_title(title);
        if self.at.is_whole() {
            group = group.element(Origin::path(&*path));
        } else {
            let mut snippet = snippet(&self.at, label.as_deref(), AnnotationKind::Primary);
            for (place, words) in beside {
                snippet = snippet.annotation(AnnotationKind::Context.span(place.bytes.clone()).label(&**words));
            }
            group = group.element(snippet);
        }
        for (place, words) in elsewhere {
            group = if place.is_whole() {
                let path = visible::line(place.file.path.as_str());
                group.element(Level::NOTE.message(format!("{words}: {path}")))
            } else {
                group.element(snippet(place, Some(words), AnnotationKind::Context))
            };
        }
        if let Some(help) = &help {
            group = group.element(Level::HELP.message(&**help));
        }
        if colour {
            // What the renderer takes for steering it replaces by pictures, so that every escape here is its own.
            visible::coloured_lines(&Renderer::styled().render(&[group])).into_owned()
        } else {
            visible::lines(&Renderer::plain().render(&[group])).into_owned()
        }
    }
}

fn snippet<'a>(place: &'a Place, words: Option<&'a str>, kind: AnnotationKind) -> Snippet<'a, Annotation<'a>> {
    Snippet::source(&*place.file.text)
        .path(visible::line(place.file.path.as_str()).into_owned())
        .annotation(kind.span(place.bytes.clone()).label(words))
}
