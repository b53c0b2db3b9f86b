//! Decoding tables that a thread keeps for the next file: most files of a program have the same ones.

use std::cell::RefCell;
use std::rc::Rc;

use super::huffman::HuffmanTable;

/// Tables that are kept, of at most 50 KB each: a file in one scan has two or four.
const MOST_KEPT: usize = 8;

thread_local! {
    /// Those used last come last.
    static KEPT: RefCell<Vec<Rc<HuffmanTable>>> = const { RefCell::new(Vec::new()) };
}

/// As [`HuffmanTable::new`], or an equal table that this thread has made before.
pub(super) fn table(counts: &[u8; 16], symbols: &[u8]) -> Option<Rc<HuffmanTable>> {
    KEPT.with_borrow_mut(|kept| {
        let found = kept.iter().position(|table| table.is_of(counts, symbols));
        let table = match found {
            Some(at) => kept.remove(at),
            None => Rc::new(HuffmanTable::new(counts, symbols)?),
        };
        if kept.len() == MOST_KEPT {
            kept.remove(0);
        }
        kept.push(Rc::clone(&table));
        Some(table)
    })
}

#[cfg(test)]
mod tests {
    use super::super::standard::{AC, DC};
    use super::*;

    #[test]
    fn tables_are_made_once_until_others_displace_them() {
        let [first, second] = AC.map(|(counts, symbols)| table(counts, symbols).expect("a valid table"));
        assert!(!Rc::ptr_eq(&first, &second));
        let again = || table(AC[0].0, AC[0].1).expect("a valid table");
        assert!(Rc::ptr_eq(&first, &again()));
        let mut counts = *DC[0].0;
        for symbol in 0..MOST_KEPT as u8 {
            let mut symbols = DC[0].1.to_vec();
            symbols[0] = 100 + symbol;
            table(&counts, &symbols).expect("a valid table");
        }
        assert!(!Rc::ptr_eq(&first, &again()), "the oldest is gone");
        counts[0] = 3;
        assert!(table(&counts, DC[0].1).is_none(), "three codes of one bit");
    }
}
