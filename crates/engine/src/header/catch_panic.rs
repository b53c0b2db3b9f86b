use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `decode` and returns the message of a panic as an error, so that a decoder bug does not end a worker. Needs `panic = "unwind"`.
pub(crate) fn catch_panic<T>(decode: impl FnOnce() -> T) -> Result<T, String> {
    // Unwind safety: partly written state is owned by the unwound frames and dropped with them.
    catch_unwind(AssertUnwindSafe(decode)).map_err(|payload| message(&*payload))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_message() {
        assert_eq!(
            catch_panic(|| panic!("boom {}", 1)).map(|()| 0),
            Err("boom 1".to_owned())
        );
        assert_eq!(catch_panic(|| panic!("boom")).map(|()| 0), Err("boom".to_owned()));
        assert_eq!(catch_panic(|| 3), Ok(3));
    }
}
