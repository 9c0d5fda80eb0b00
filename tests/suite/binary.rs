//! How the program is linked: no address in it is known beforehand, nothing in it is both written and run, and it has the
//! rights of whoever starts it.

use std::fs;
use std::os::unix::fs::MetadataExt;

const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const STACK: u32 = 0x6474_e551;
const RELRO: u32 = 0x6474_e552;

/// A number of that many bytes, in a file of 64 bits with the lowest byte first.
fn number(bytes: &[u8], at: usize, width: usize) -> u64 {
    bytes[at..at + width].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Kind, flags, place in the file and length of each segment.
fn segments(bytes: &[u8]) -> Vec<(u32, u64, usize, usize)> {
    let (first, size, count) = (number(bytes, 32, 8), number(bytes, 54, 2), number(bytes, 56, 2));
    let each = (0..count).map(|segment| (first + segment * size) as usize);
    let number = |at, width| number(bytes, at, width);
    each.map(|at| {
        (number(at, 4) as u32, number(at + 4, 4), number(at + 8, 8) as usize, number(at + 32, 8) as usize)
    })
    .collect()
}

#[test]
fn it_is_linked_so_that_it_is_hard_to_misuse() {
    let path = env!("CARGO_BIN_EXE_tidegate");
    assert_eq!(fs::metadata(path).expect("the program").mode() & 0o6000, 0, "it has no rights of its own");
    let bytes = fs::read(path).expect("the program");
    assert_eq!(&bytes[..6], b"\x7fELF\x02\x01", "64 bits, the lowest byte first");
    assert_eq!(number(&bytes, 16, 2), 3, "position-independent");
    let segments = segments(&bytes);
    assert!(segments.iter().any(|segment| segment.0 == RELRO), "relocations are read-only afterwards");
    let stack = segments.iter().find(|segment| segment.0 == STACK).expect("it says so of the stack");
    assert_eq!(stack.1 & 1, 0, "the stack is not run");
    assert!(segments.iter().filter(|segment| segment.0 == LOAD).all(|segment| segment.1 & 3 != 3));
    let dynamic = segments.iter().find(|segment| segment.0 == DYNAMIC).expect("a dynamic segment");
    let entries = bytes[dynamic.2..dynamic.2 + dynamic.3].chunks(16);
    let mut entries = entries.map(|entry| (number(entry, 0, 8), number(entry, 8, 8)));
    let binds_now = |(tag, value): (u64, u64)| match tag {
        24 => true,
        30 => value & 8 != 0,
        0x6fff_fffb => value & 1 != 0,
        _ => false,
    };
    assert!(entries.any(binds_now), "all is bound before it begins");
}
