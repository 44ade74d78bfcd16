//! Addresses as people paste them: `0x7ff6e7900000`, `7ff6e7900000`, WinDbg's
//! ``7ff6`e7900000``, `module+0x12`, `@rsp`.

use crate::analysis::Analysis;
use crate::dump::Registers;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressText {
    /// A number.
    Number(u64),
    /// A module by name, and bytes from its base.
    Module(String, u64),
    /// A register of the crashing thread, else of the first.
    Register(String),
}

impl AddressText {
    /// Reads an address. Numbers are hexadecimal with or without `0x`.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse(text: &str) -> Result<AddressText, String> {
        let text = text.trim();
        if let Some(register) = text.strip_prefix('@') {
            return Ok(AddressText::Register(register.to_ascii_lowercase()));
        }
        if let Some(number) = hex(text) {
            return Ok(AddressText::Number(number));
        }
        match text.rsplit_once('+') {
            Some((module, offset)) if !module.is_empty() => {
                let offset = hex(offset).ok_or_else(|| {
                    format!("{offset} is no hexadecimal offset; write module+0x12")
                })?;
                Ok(AddressText::Module(module.to_owned(), offset))
            }
            _ if text.is_empty() || text.starts_with("0x") || text.starts_with('-') => {
                Err(format!("{text} is no address; write 0x7ff6e7900000, module+0x12 or @rsp"))
            }
            _ => Ok(AddressText::Module(text.to_owned(), 0)),
        }
    }

    /// The address in one process.
    ///
    /// # Errors
    /// The process has no such module or register.
    pub fn resolve(&self, analysis: &Analysis<'_>) -> Result<u64, String> {
        match self {
            AddressText::Number(number) => Ok(*number),
            AddressText::Module(name, offset) => module(analysis, name)?
                .checked_add(*offset)
                .ok_or_else(|| format!("{name}+{offset:#x} lies past the end of the space")),
            AddressText::Register(name) => register(analysis, name),
        }
    }
}

/// Up to 16 hexadecimal digits, with `0x` and WinDbg's backtick if you like.
fn hex(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").or(text.strip_prefix("0X")).unwrap_or(text);
    let digits = digits.replace('`', "");
    let digits = digits.strip_suffix(['h', 'H']).unwrap_or(&digits);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

/// The base of the image with this file name, with or without its extension.
fn module(analysis: &Analysis<'_>, name: &str) -> Result<u64, String> {
    let matches = |path: &str| {
        let file = crate::dump::file_name(path);
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        file.eq_ignore_ascii_case(name) || stem.eq_ignore_ascii_case(name)
    };
    let images = analysis.evidence.images.iter().filter(|image| matches(&image.path));
    let mut bases: Vec<u64> = images.map(|image| image.range.start()).collect();
    if bases.is_empty() {
        let modules = analysis.dump.modules.modules.iter();
        bases = modules.filter(|module| matches(&module.path)).map(|module| module.base).collect();
    }
    match bases.as_slice() {
        [base] => Ok(*base),
        [] => Err(format!("no module is called {name}")),
        bases => {
            let list: Vec<String> = bases.iter().map(|base| format!("{base:#x}")).collect();
            Err(format!("{name} is mapped more than once: at {}", list.join(", ")))
        }
    }
}

fn register(analysis: &Analysis<'_>, name: &str) -> Result<u64, String> {
    let value: fn(&Registers) -> u64 = match name {
        "rsp" | "esp" | "sp" => |registers| registers.stack_pointer,
        "rip" | "eip" | "ip" | "pc" => |registers| registers.instruction_pointer,
        "rbp" | "ebp" | "fp" => |registers| registers.frame_pointer,
        _ => return Err(format!("@{name} is not known; @rsp, @rip and @rbp are")),
    };
    let dump = &analysis.dump;
    let crashed = dump.exception.as_ref().map(|exception| exception.thread_id);
    let thread = dump.threads.iter().find(|thread| Some(thread.id) == crashed);
    let thread = thread.or(dump.threads.first()).ok_or("the dump has no threads")?;
    let registers = dump
        .registers(thread)
        .ok_or_else(|| format!("the dump has no registers of thread {}", thread.id))?;
    Ok(value(&registers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_paste_them() {
        let number = |number| Ok(AddressText::Number(number));
        let module = |name: &str, offset| Ok(AddressText::Module(name.into(), offset));
        let cases = [
            ("0x7ff6e7900000", number(0x7ff6_e790_0000)),
            ("7ff6e7900000", number(0x7ff6_e790_0000)),
            ("7ff6`e7900000", number(0x7ff6_e790_0000)),
            ("00007FF6`E7900000", number(0x7ff6_e790_0000)),
            ("7FFDE000h", number(0x7ffd_e000)),
            ("ntdll+0x12", module("ntdll", 0x12)),
            ("libstdc++.so.6+12", module("libstdc++.so.6", 0x12)),
            ("ntdll.dll", module("ntdll.dll", 0)),
            ("@RSP", Ok(AddressText::Register("rsp".into()))),
        ];
        for (text, expected) in cases {
            assert_eq!(AddressText::parse(text), expected, "{text}");
        }
        for text in ["", "0xzz", "0x123456789abcdef01", "ntdll+zz", "-1"] {
            assert!(AddressText::parse(text).is_err(), "{text}");
        }
    }
}
