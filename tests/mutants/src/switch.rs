//! Writes mutants into a source, each behind a switch of its own: `if crate::mutant::is_on(7) { .. }`.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use anyhow::{Context as _, Result};
use proc_macro2::LineColumn;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{BinOp, Block, Expr, ReturnType, Signature, Stmt, Type, parse_quote};

use crate::list::{Genre, Mutant, Place};

/// A source with its mutants switched.
pub struct Switched {
    pub text: String,
    /// Mutants for which no place was found, or which cannot be switched there.
    pub left_out: BTreeSet<u32>,
    /// Mutants that compile nowhere.
    pub unviable: BTreeSet<u32>,
}

/// Writes these mutants into the source.
pub fn switch(source: &str, mutants: &[&Mutant]) -> Result<Switched> {
    let mut file = syn::parse_file(source).context("a source is not read")?;
    let mut waiting: BTreeMap<Place, Vec<&Mutant>> = BTreeMap::new();
    for mutant in mutants {
        waiting.entry(mutant.span.start).or_default().push(mutant);
    }
    let mut switcher = Switcher { waiting, written: 0, unviable: BTreeSet::new(), trouble: None };
    switcher.visit_file_mut(&mut file);
    let Switcher { waiting, unviable, trouble, .. } = switcher;
    match trouble {
        Some(trouble) => Err(trouble),
        None => Ok(Switched {
            text: prettyplease::unparse(&file),
            left_out: waiting.into_values().flatten().map(|it| it.id).collect(),
            unviable,
        }),
    }
}

struct Switcher<'a> {
    /// Mutants whose place was not met yet.
    waiting: BTreeMap<Place, Vec<&'a Mutant>>,
    written: usize,
    unviable: BTreeSet<u32>,
    trouble: Option<anyhow::Error>,
}

fn place(at: LineColumn) -> Place {
    Place { line: at.line, column: at.column + 1 }
}

fn is_on(id: u32) -> Expr {
    parse_quote!(crate::mutant::is_on(#id))
}

/// `mutated` while the mutant is on, and `otherwise` without it.
fn either(id: u32, mutated: &Expr, otherwise: &Expr) -> Expr {
    let on = is_on(id);
    parse_quote!((if #on { #mutated } else { #otherwise }))
}

impl<'a> Switcher<'a> {
    /// The mutants of this kind that begin where the node does.
    fn take(&mut self, node: &impl Spanned, genre: Genre) -> Vec<&'a Mutant> {
        let Some(here) = self.waiting.get_mut(&place(node.span().start())) else { return Vec::new() };
        let (taken, left) = mem::take(here).into_iter().partition(|it| it.genre == genre);
        *here = left;
        self.written += taken.len();
        taken
    }

    fn parse<T: syn::parse::Parse>(&mut self, mutant: &Mutant) -> Option<T> {
        let parsed = syn::parse_str(&mutant.replacement).with_context(|| format!("not read: {}", mutant.name));
        parsed.map_err(|trouble| self.trouble = Some(trouble)).ok()
    }

    /// The body of a function: each mutant of its value is an early return.
    fn function(&mut self, signature: &mut Signature, body: &mut Block) {
        let Some(first) = body.stmts.first() else { return };
        let returns_some_type =
            matches!(&signature.output, ReturnType::Type(_, it) if matches!(**it, Type::ImplTrait(_)));
        // Two values of one `impl Trait` must be of one type, so such a mutant cannot stand beside the original.
        let values = if returns_some_type { Vec::new() } else { self.take(first, Genre::FnValue) };
        let before = self.written - values.len();
        visit_mut::visit_block_mut(self, body);
        if self.written > before {
            // Whether a mutant is on is not known to the compiler.
            signature.constness = None;
        }
        let returns = values.into_iter().filter_map(|mutant| {
            let (on, value) = (is_on(mutant.id), self.parse::<Expr>(mutant)?);
            Some(parse_quote!(if #on { return #value; }))
        });
        let returns: Vec<Stmt> = returns.collect();
        body.stmts.splice(0..0, returns);
    }

    fn binary(&mut self, expression: &mut Expr) {
        let Expr::Binary(binary) = &*expression else { return };
        let is_chain = holds_let(&binary.left) || holds_let(&binary.right);
        let mut mutants = self.take(&binary.op, Genre::BinaryOperator);
        if is_chain {
            // The language has no chain with `let` and another operator than `&&`.
            self.written -= mutants.len();
            self.unviable.extend(mutants.drain(..).map(|it| it.id));
        }
        visit_mut::visit_expr_mut(self, expression);
        let Expr::Binary(original) = expression.clone() else { return };
        for mutant in mutants {
            let Some(operator) = self.parse::<BinOp>(mutant) else { return };
            let mut mutated = original.clone();
            // Another operator may bind differently.
            if !assigns(&operator) {
                let (left, right) = (&original.left, &original.right);
                mutated.left = parse_quote!((#left));
                mutated.right = parse_quote!((#right));
            }
            mutated.op = operator;
            *expression = either(mutant.id, &Expr::Binary(mutated), expression);
        }
    }

    fn unary(&mut self, expression: &mut Expr) {
        let mutants = self.take(expression, Genre::UnaryOperator);
        visit_mut::visit_expr_mut(self, expression);
        let Expr::Unary(original) = expression.clone() else { return };
        for mutant in mutants {
            *expression = either(mutant.id, &original.expr, expression);
        }
    }

    /// A field that is not given takes its default.
    fn structure(&mut self, expression: &mut Expr) {
        let Expr::Struct(structure) = &*expression else { return };
        let fields = structure.fields.iter().enumerate();
        let mutants: Vec<(usize, &Mutant)> = fields
            .flat_map(|(at, field)| self.take(field, Genre::StructField).into_iter().map(move |it| (at, it)))
            .collect();
        visit_mut::visit_expr_mut(self, expression);
        let Expr::Struct(original) = expression.clone() else { return };
        for (left_out, mutant) in mutants {
            let mut mutated = original.clone();
            let others = original.fields.iter().enumerate().filter(|(at, _)| *at != left_out);
            mutated.fields = others.map(|(_, field)| field.clone()).collect::<Punctuated<_, _>>();
            if mutated.rest.is_none() {
                mutated.dot2_token = Some(Default::default());
                mutated.rest = Some(parse_quote!(Default::default()));
            }
            if !mutated.fields.empty_or_trailing() {
                mutated.fields.push_punct(Default::default());
            }
            *expression = either(mutant.id, &Expr::Struct(mutated), expression);
        }
    }
}

fn holds_let(expression: &Expr) -> bool {
    match expression {
        Expr::Let(_) => true,
        Expr::Binary(it) => matches!(it.op, BinOp::And(_)) && (holds_let(&it.left) || holds_let(&it.right)),
        _ => false,
    }
}

/// Whether the operator changes its left side, which then must stay a place.
fn assigns(operator: &BinOp) -> bool {
    matches!(
        operator,
        BinOp::AddAssign(_)
            | BinOp::SubAssign(_)
            | BinOp::MulAssign(_)
            | BinOp::DivAssign(_)
            | BinOp::RemAssign(_)
            | BinOp::BitXorAssign(_)
            | BinOp::BitAndAssign(_)
            | BinOp::BitOrAssign(_)
            | BinOp::ShlAssign(_)
            | BinOp::ShrAssign(_)
    )
}

impl VisitMut for Switcher<'_> {
    fn visit_item_fn_mut(&mut self, item: &mut syn::ItemFn) {
        self.function(&mut item.sig, &mut item.block);
    }

    fn visit_impl_item_fn_mut(&mut self, item: &mut syn::ImplItemFn) {
        self.function(&mut item.sig, &mut item.block);
    }

    fn visit_trait_item_fn_mut(&mut self, item: &mut syn::TraitItemFn) {
        if let Some(body) = &mut item.default {
            self.function(&mut item.sig, body);
        }
    }

    // A constant is computed when it is compiled, where nothing can be switched.
    fn visit_item_const_mut(&mut self, _: &mut syn::ItemConst) {}
    fn visit_impl_item_const_mut(&mut self, _: &mut syn::ImplItemConst) {}
    fn visit_item_static_mut(&mut self, _: &mut syn::ItemStatic) {}

    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        match expression {
            Expr::Binary(_) => self.binary(expression),
            Expr::Unary(_) => self.unary(expression),
            Expr::Struct(_) => self.structure(expression),
            _ => visit_mut::visit_expr_mut(self, expression),
        }
    }

    fn visit_arm_mut(&mut self, arm: &mut syn::Arm) {
        let deletions = self.take(arm, Genre::MatchArm);
        let guards = match &arm.guard {
            Some((_, guard)) if !holds_let(guard) => self.take(guard, Genre::MatchArmGuard),
            _ => Vec::new(),
        };
        visit_mut::visit_arm_mut(self, arm);
        if let Some((_, guard)) = &mut arm.guard {
            for mutant in guards {
                let (on, old) = (is_on(mutant.id), guard.clone());
                **guard = if mutant.replacement == "true" {
                    parse_quote!((#on || (#old)))
                } else {
                    parse_quote!((!#on && (#old)))
                };
            }
        }
        for mutant in deletions {
            let on = is_on(mutant.id);
            let guard = match &arm.guard {
                // Without parentheses, since it may bind names with `let`.
                Some((_, old)) => parse_quote!(!#on && #old),
                None => parse_quote!(!#on),
            };
            arm.guard = Some((Default::default(), Box::new(guard)));
        }
    }
}
