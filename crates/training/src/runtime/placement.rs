//! Which execution provider ONNX Runtime has assigned the nodes of a session to.

#![allow(
    unsafe_code,
    reason = "`ort` wraps every other call, but not those that read the record of assignments"
)]

use std::{
    ffi::{CStr, c_char},
    ptr, slice,
};

use ort::{
    AsPointer as _, api,
    session::Session,
    sys::{OrtEpAssignedNode, OrtEpAssignedSubgraph, OrtStatusPtr},
};

/// The session option that makes ONNX Runtime keep the record if its value is `1`.
pub(super) const RECORD: &str = "session.record_ep_graph_assignment_info";

/// The nodes of `session` that are assigned to another execution provider than `provider`: the operator, and the node's name in brackets if
/// it has one.
///
/// # Errors
///
/// ONNX Runtime's, if the session was made without [`RECORD`].
pub(super) fn nodes_outside(provider: &str, session: &Session) -> ort::Result<Vec<String>> {
    let api = api();
    let mut outside = vec![];
    // SAFETY: the session is alive, and it owns the array and the subgraphs in it, which outlive this call.
    let subgraphs: &[*const OrtEpAssignedSubgraph] = unsafe {
        array(|start, length| (api.Session_GetEpGraphAssignmentInfo)(session.ptr(), start, length))?
    };
    for &subgraph in subgraphs {
        // SAFETY: the subgraph is the session's, and so is its text, which ends with a zero.
        let assigned = unsafe { text(|start| (api.EpAssignedSubgraph_GetEpName)(subgraph, start))? };
        if assigned == provider {
            continue;
        }
        // SAFETY: the subgraph is the session's, and so are the array and the nodes in it.
        let nodes: &[*const OrtEpAssignedNode] =
            unsafe { array(|start, length| (api.EpAssignedSubgraph_GetNodes)(subgraph, start, length))? };
        for &node in nodes {
            // SAFETY: the node is the session's, and so is its text, which ends with a zero.
            let operator = unsafe { text(|start| (api.EpAssignedNode_GetOperatorType)(node, start))? };
            // SAFETY: as for the operator.
            let name = unsafe { text(|start| (api.EpAssignedNode_GetName)(node, start))? };
            outside.push(match name {
                "" => operator.to_owned(),
                name => format!("{operator} ({name})"),
            });
        }
    }
    Ok(outside)
}

/// The array whose address and length `get` writes.
///
/// # Safety
/// Unless `get` fails, it writes the address of an array that has as many elements as it says, and that stays unchanged and allocated during `'a`.
unsafe fn array<'a, T>(get: impl FnOnce(*mut *const T, *mut usize) -> OrtStatusPtr) -> ort::Result<&'a [T]> {
    let (mut start, mut length) = (ptr::null(), 0);
    let status = get(&raw mut start, &raw mut length);
    // SAFETY: the status comes from ONNX Runtime, which leaves it to its caller.
    unsafe { ort::Error::<()>::result_from_status(status)? };
    if length == 0 {
        return Ok(&[]);
    }
    // SAFETY: the caller guarantees that `length` elements stand at `start`, unchanged as long as the result lives.
    Ok(unsafe { slice::from_raw_parts(start, length) })
}

/// The text whose address `get` writes.
///
/// # Safety
/// Unless `get` fails, it writes the address of a text that ends with a zero, and that stays unchanged and allocated during `'a`.
unsafe fn text<'a>(get: impl FnOnce(*mut *const c_char) -> OrtStatusPtr) -> ort::Result<&'a str> {
    let mut start = ptr::null();
    let status = get(&raw mut start);
    // SAFETY: the status comes from ONNX Runtime, which leaves it to its caller.
    unsafe { ort::Error::<()>::result_from_status(status)? };
    // SAFETY: the caller guarantees that the text ends with a zero and stays unchanged as long as the result lives.
    Ok(unsafe { CStr::from_ptr(start) }.to_str()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Runtime;

    const NETWORK: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/networks/cnn.onnx"
    );

    fn session(record: &str) -> Session {
        let runtime = Runtime::load().expect("ONNX Runtime is installed: `make runtime`");
        Session::builder(runtime.environment())
            .and_then(|builder| Ok(builder.with_config_entry(RECORD, record)?))
            .and_then(|mut builder| builder.commit_from_file(NETWORK))
            .expect("a session")
    }

    #[test]
    fn a_cpu_session_has_all_its_nodes_on_the_cpu_and_none_elsewhere() {
        let session = session("1");
        let on_cpu = nodes_outside("CPUExecutionProvider", &session).expect("a record");
        assert_eq!(on_cpu, [] as [&str; 0]);
        let nodes = nodes_outside("CUDAExecutionProvider", &session).expect("a record");
        assert_eq!(nodes[0], "Conv (/0/Conv)");
        assert!(nodes.contains(&"Gemm (/9/Gemm)".to_owned()), "{nodes:?}");
        assert!(nodes.contains(&"HardSigmoid".to_owned()), "{nodes:?}");
    }

    #[test]
    fn a_session_without_the_record_says_what_is_missing() {
        let error = nodes_outside("CPUExecutionProvider", &session("0")).expect_err("no record");
        assert!(error.message().contains(RECORD), "{error}");
    }
}
