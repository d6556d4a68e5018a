//! Turns diagnostics into text in the shape that rustc made familiar.

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Diagnostics, Place};

impl Diagnostics {
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
    /// Renders one mistake: code and message, where it is, the source line with a caret, and help. A mistake of a
    /// whole file shows the file's path alone.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let title = Level::ERROR.primary_title(self.message.as_str()).id(self.code.as_str());
        let (beside, elsewhere): (Vec<_>, Vec<_>) =
            self.related.iter().partition(|(place, _)| place.file.path == self.at.file.path && !place.is_whole());
        let mut group = Group::with_title(title);
        if self.at.is_whole() {
            group = group.element(Origin::path(self.at.file.path.as_str()));
        } else {
            let mut snippet = snippet(&self.at, self.label.as_deref(), AnnotationKind::Primary);
            for (place, words) in beside {
                snippet = snippet.annotation(AnnotationKind::Context.span(place.bytes.clone()).label(words));
            }
            group = group.element(snippet);
        }
        for (place, words) in elsewhere {
            group = if place.is_whole() {
                group.element(Level::NOTE.message(format!("{words}: {}", place.file.path)))
            } else {
                group.element(snippet(place, Some(words), AnnotationKind::Context))
            };
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

fn snippet<'a>(place: &'a Place, words: Option<&'a str>, kind: AnnotationKind) -> Snippet<'a, Annotation<'a>> {
    Snippet::source(&*place.file.text)
        .path(place.file.path.as_str())
        .annotation(kind.span(place.bytes.clone()).label(words))
}
