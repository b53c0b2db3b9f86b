//! The execution provider that ONNX Runtime assigned to each node of a session.

#![allow(
    unsafe_code,
    reason = "`ort` does not wrap the calls that read the assignments"
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

/// Session option: with the value `1`, ONNX Runtime records the assignments.
pub(super) const RECORD: &str = "session.record_ep_graph_assignment_info";

/// Nodes of `session` that are assigned to another execution provider than `provider`, as `Operator (node name)`, or `Operator` for nodes
/// without a name.
///
/// # Errors
///
/// An error of ONNX Runtime if the session was created without [`RECORD`].
pub(super) fn nodes_outside(provider: &str, session: &Session) -> ort::Result<Vec<String>> {
    let api = api();
    let mut outside = vec![];
    // SAFETY: the session is alive, and it owns the array and the subgraphs in it, which outlive this call.
    let subgraphs: &[*const OrtEpAssignedSubgraph] = unsafe {
        array(|start, length| (api.Session_GetEpGraphAssignmentInfo)(session.ptr(), start, length))?
    };
    for &subgraph in subgraphs {
        // SAFETY: the session owns the subgraph and its name, which is zero-terminated.
        let assigned = unsafe { text(|start| (api.EpAssignedSubgraph_GetEpName)(subgraph, start))? };
        if assigned == provider {
            continue;
        }
        // SAFETY: the session owns the subgraph, the array and the nodes in it.
        let nodes: &[*const OrtEpAssignedNode] =
            unsafe { array(|start, length| (api.EpAssignedSubgraph_GetNodes)(subgraph, start, length))? };
        for &node in nodes {
            // SAFETY: the session owns the node and its operator's name, which is zero-terminated.
            let operator = unsafe { text(|start| (api.EpAssignedNode_GetOperatorType)(node, start))? };
            // SAFETY: the session owns the node and its name, which is zero-terminated.
            let name = unsafe { text(|start| (api.EpAssignedNode_GetName)(node, start))? };
            outside.push(match name {
                "" => operator.to_owned(),
                name => format!("{operator} ({name})"),
            });
        }
    }
    Ok(outside)
}

/// Returns the array whose address and length `get` writes.
///
/// # Safety
/// Unless `get` fails, it writes the address and the length of an array that stays unchanged and allocated during `'a`.
unsafe fn array<'a, T>(get: impl FnOnce(*mut *const T, *mut usize) -> OrtStatusPtr) -> ort::Result<&'a [T]> {
    let (mut start, mut length) = (ptr::null(), 0);
    let status = get(&raw mut start, &raw mut length);
    // SAFETY: the status was returned by ONNX Runtime, which transfers its ownership to the caller.
    unsafe { ort::Error::<()>::result_from_status(status)? };
    if length == 0 {
        return Ok(&[]);
    }
    // SAFETY: the caller guarantees that there are `length` elements at `start`, unchanged as long as the result lives.
    Ok(unsafe { slice::from_raw_parts(start, length) })
}

/// Returns the string whose address `get` writes.
///
/// # Safety
/// Unless `get` fails, it writes the address of a zero-terminated string that stays unchanged and allocated during `'a`.
unsafe fn text<'a>(get: impl FnOnce(*mut *const c_char) -> OrtStatusPtr) -> ort::Result<&'a str> {
    let mut start = ptr::null();
    let status = get(&raw mut start);
    // SAFETY: the status was returned by ONNX Runtime, which transfers its ownership to the caller.
    unsafe { ort::Error::<()>::result_from_status(status)? };
    // SAFETY: the caller guarantees that the string is zero-terminated and stays unchanged as long as the result lives.
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
    fn all_nodes_of_a_cpu_session_are_assigned_to_the_cpu() {
        let session = session("1");
        let on_cpu = nodes_outside("CPUExecutionProvider", &session).expect("a record");
        assert_eq!(on_cpu, [] as [&str; 0]);
        let nodes = nodes_outside("CUDAExecutionProvider", &session).expect("a record");
        assert_eq!(nodes[0], "Conv (/0/Conv)");
        assert!(nodes.contains(&"Gemm (/9/Gemm)".to_owned()), "{nodes:?}");
        assert!(nodes.contains(&"HardSigmoid".to_owned()), "{nodes:?}");
    }

    #[test]
    fn a_session_without_the_record_is_an_error_that_names_the_option() {
        let error = nodes_outside("CPUExecutionProvider", &session("0")).expect_err("no record");
        assert!(error.message().contains(RECORD), "{error}");
    }
}
