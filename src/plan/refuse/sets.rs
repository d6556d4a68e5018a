//! INTERSECT ALL and EXCEPT ALL, which DataFusion 55.2 answers as semi and anti joins, whatever the counts of equal rows
//! (apache/datafusion#12955, apache/datafusion#12956).

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, SetExpr, SetOperator, SetQuantifier, Spanned, Visit as _, Visitor};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, SourceFile};
use crate::plan::query::{Query, bytes};

pub(super) fn check(file: &SourceFile, query: &Query, mistakes: &mut Diagnostics) {
    let mut finder = Finder { found: Vec::new() };
    let _ = query.tree().visit(&mut finder);
    for (name, span) in finder.found {
        mistakes.push(
            Diagnostic::new(
                Code::EngineFault,
                file.at(bytes(file, span)),
                format!("the engine does not count equal rows in {name}"),
            )
            .help("number equal rows with row_number() on both sides, and leave `all` out"),
        );
    }
}

struct Finder {
    found: Vec<(&'static str, Span)>,
}

impl Finder {
    fn look(&mut self, body: &SetExpr) {
        if let SetExpr::SetOperation { op, set_quantifier, left, right } = body {
            let name = match op {
                SetOperator::Intersect => Some("INTERSECT ALL"),
                SetOperator::Except | SetOperator::Minus => Some("EXCEPT ALL"),
                SetOperator::Union => None,
            };
            if let (Some(name), SetQuantifier::All | SetQuantifier::AllByName) = (name, set_quantifier) {
                self.found.push((name, right.span()));
            }
            self.look(left);
            self.look(right);
        }
    }
}

impl Visitor for Finder {
    type Break = ();

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<()> {
        self.look(&query.body);
        ControlFlow::Continue(())
    }
}
