//! Which mutant an error of the compiler comes from.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::Deserialize;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Expr, Lit};

use crate::list::Place;

#[derive(Deserialize)]
pub struct Diagnostic {
    pub level: String,
    pub rendered: Option<String>,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: usize,
    column_start: usize,
    is_primary: bool,
}

/// The innermost mutant whose code, or failing that whose alternatives, hold the error. Nobody if none does.
pub fn blame(folder: &Path, error: &Diagnostic) -> Result<BTreeSet<u32>> {
    for span in error.spans.iter().filter(|it| it.is_primary).chain(&error.spans) {
        let source = fs::read_to_string(folder.join(&span.file_name)).unwrap_or_default();
        let Ok(file) = syn::parse_file(&source) else { continue };
        let at = Place { line: span.line_start, column: span.column_start };
        let mut search = Search { at, mutated: None, chosen: None, deleted: BTreeSet::new() };
        search.visit_file(&file);
        if let Some(id) = search.mutated.or(search.chosen) {
            return Ok(BTreeSet::from([id]));
        }
        if !search.deleted.is_empty() {
            return Ok(search.deleted);
        }
    }
    Ok(BTreeSet::new())
}

struct Search {
    at: Place,
    /// The mutant whose own code holds the error.
    mutated: Option<u32>,
    /// The mutant one of whose alternatives does.
    chosen: Option<u32>,
    /// The deletions of arms without which a match is not exhaustive any more.
    deleted: BTreeSet<u32>,
}

impl Search {
    fn is_in(&self, node: &impl Spanned) -> bool {
        let (start, end) = (node.span().start(), node.span().end());
        let place = |line, column: usize| Place { line, column: column + 1 };
        place(start.line, start.column) <= self.at && self.at < place(end.line, end.column)
    }
}

/// The mutant that is asked for, if that is what the expression does.
fn asked(condition: &Expr) -> Option<u32> {
    let Expr::Call(call) = condition else { return None };
    let Expr::Path(path) = &*call.func else { return None };
    let names: Vec<String> = path.path.segments.iter().map(|it| it.ident.to_string()).collect();
    if names != ["crate", "mutant", "is_on"] {
        return None;
    }
    let Some(Expr::Lit(literal)) = call.args.first() else { return None };
    let Lit::Int(id) = &literal.lit else { return None };
    id.base10_parse().ok()
}

impl Visit<'_> for Search {
    // From the outside inwards: what is found last is innermost.
    fn visit_expr_if(&mut self, node: &syn::ExprIf) {
        if let Some(id) = asked(&node.cond)
            && self.is_in(node)
        {
            if self.is_in(&node.then_branch) {
                self.mutated = Some(id);
            } else {
                self.chosen = Some(id);
            }
        }
        visit::visit_expr_if(self, node);
    }

    fn visit_expr_match(&mut self, node: &syn::ExprMatch) {
        if self.is_in(&node.expr) {
            let guards = node.arms.iter().filter_map(|it| it.guard.as_ref());
            let deletions = guards.filter_map(|(_, guard)| match &**guard {
                Expr::Unary(not) => asked(&not.expr),
                _ => None,
            });
            self.deleted = deletions.collect();
        }
        visit::visit_expr_match(self, node);
    }
}
