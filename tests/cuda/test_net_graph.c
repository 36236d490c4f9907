/* SPDX-License-Identifier: MIT */
/* Which calls of a network are recorded, replayed and given up, on a run-time that only counts. */
#include "tests/vj_test.h"

#include <errno.h>

#include "cuda/net_graph.h"

/* ---- run-time ---- */

static struct {
    bool recording, by_caller;
    cudaError_t begin, end, instantiate, launch; /* what the calls return */
    cudaError_t last;
    int graphs, execs; /* alive */
    int plain, recorded, launched;
    int result; /* of enqueue() while it is recorded */
} now;

static cudaError_t status_of(cudaError_t status)
{
    if (status != cudaSuccess)
        now.last = status;
    return status;
}

cudaError_t cudaGetLastError(void)
{
    const cudaError_t status = now.last;
    now.last = cudaSuccess;
    return status;
}

const char *cudaGetErrorString(cudaError_t status)
{
    return status == cudaSuccess ? "no error" : "an error";
}

const char *cudaGetErrorName(cudaError_t status)
{
    return cudaGetErrorString(status);
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status)
{
    assert_non_null(stream);
    *status = now.by_caller ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    assert_non_null(stream);
    assert_int_equal(mode, cudaStreamCaptureModeThreadLocal);
    assert_false(now.recording);
    now.recording = now.begin == cudaSuccess;
    return status_of(now.begin);
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    static char a_graph;
    assert_non_null(stream);
    assert_true(now.recording);
    now.recording = false;
    *graph = now.end == cudaSuccess ? (cudaGraph_t)&a_graph : NULL;
    now.graphs += *graph != NULL;
    return status_of(now.end);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
    static char an_exec;
    assert_non_null(graph);
    assert_int_equal(flags, 0);
    *exec = (cudaGraphExec_t)&an_exec; /* whatever is there when it fails must not be used */
    now.execs += now.instantiate == cudaSuccess;
    return status_of(now.instantiate);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    assert_non_null(exec);
    assert_non_null(stream);
    now.launched++;
    return status_of(now.launch);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    assert_non_null(exec);
    now.execs--;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    assert_non_null(graph);
    now.graphs--;
    return cudaSuccess;
}

/* ---- calls ---- */

static struct vj_error err;
static struct vj_cuda_net_recordings recordings;
static char some_stream, other_stream;

static int enqueue(void *work, const struct vj_cuda_net_call *call, struct vj_error *e)
{
    assert_ptr_equal(work, &now);
    assert_true(call->patches == 32);
    if (now.recording) {
        now.recorded++;
        return now.result ? vj_fail(e, now.result, "not while recording") : 0;
    }
    now.plain++;
    return 0;
}

static struct vj_cuda_net_call a_call(size_t n)
{
    static uint8_t patches;
    return (struct vj_cuda_net_call){
        .stream = (cudaStream_t)&some_stream, .d_patches = &patches, .patches = 32, .n = n};
}

static int run(const struct vj_cuda_net_call *call)
{
    return vj_cuda_net_replay(&recordings, enqueue, &now, call, &err);
}

static void run_times(size_t n, int times)
{
    const struct vj_cuda_net_call call = a_call(n);
    for (int i = 0; i < times; i++)
        assert_int_equal(run(&call), 0);
}

static int start(void **state)
{
    (void)state;
    memset(&now, 0, sizeof(now));
    memset(&err, 0, sizeof(err));
    memset(&recordings, 0, sizeof(recordings));
    return 0;
}

/* Frees all; so often were calls enqueued, recorded and launched. */
static void expect(int plain, int recorded, int launched)
{
    assert_int_equal(now.plain, plain);
    assert_int_equal(now.recorded, recorded);
    assert_int_equal(now.launched, launched);
    assert_int_equal(recordings.replays, launched);
    assert_false(now.recording);
    assert_int_equal(now.last, cudaSuccess); /* or a later launch is judged by it */
    assert_int_equal(now.graphs, 0);
    vj_cuda_net_recordings_free(&recordings);
    assert_int_equal(now.execs, 0);
}

/* ---- tests ---- */

static void the_second_call_records_and_later_ones_replay(void **state)
{
    (void)state;
    run_times(1, 5);
    assert_int_equal(now.execs, 1);
    expect(1, 1, 4);
}

static void every_argument_makes_another_call(void **state)
{
    (void)state;
    float numbers[3];
    struct vj_cuda_net_call calls[9];
    for (size_t i = 0; i < 9; i++)
        calls[i] = a_call(1);
    calls[1].stream = (cudaStream_t)&other_stream;
    calls[2].d_patches++;
    calls[3].d_jnd = calls[0].d_patches;
    calls[4].d_score = &numbers[0];
    calls[5].d_quality = &numbers[1];
    calls[6].d_weight = &numbers[2];
    calls[7].reference = 1;
    calls[8].n = 0;
    for (int times = 0; times < 3; times++)
        for (size_t i = 0; i < 9; i++)
            assert_int_equal(run(&calls[i]), 0);
    assert_int_equal(now.execs, 9);
    expect(9, 9, 18);
}

static void the_oldest_call_gives_way(void **state)
{
    (void)state;
    for (size_t n = 0; n <= VJ_CUDA_NET_RECORDINGS; n++)
        run_times(n, 2);
    assert_int_equal(now.execs, VJ_CUDA_NET_RECORDINGS);
    run_times(1, 1); /* still there */
    run_times(0, 1); /* not any more; takes the place of 1 */
    run_times(1, 1);
    expect(VJ_CUDA_NET_RECORDINGS + 3, VJ_CUDA_NET_RECORDINGS + 1, VJ_CUDA_NET_RECORDINGS + 2);
}

static void what_is_refused_is_enqueued_and_not_tried_again(void **state)
{
    cudaError_t *const refusing[] = {&now.begin, &now.end, &now.instantiate};
    for (int i = 0; i < 3; i++) {
        start(state);
        *refusing[i] = cudaErrorNotSupported;
        run_times(1, 4);
        expect(4, i > 0, 0);
        assert_int_equal(err.code, 0);
    }
}

/* The oldest may be one that could not be recorded: that says nothing of the call after it. */
static void the_place_of_a_call_that_is_refused_records_the_next_one(void **state)
{
    (void)state;
    now.begin = cudaErrorNotSupported;
    run_times(0, 3);
    now.begin = cudaSuccess;
    for (size_t n = 1; n <= VJ_CUDA_NET_RECORDINGS; n++)
        run_times(n, 2);
    assert_int_equal(now.execs, VJ_CUDA_NET_RECORDINGS);
    expect(3 + VJ_CUDA_NET_RECORDINGS, VJ_CUDA_NET_RECORDINGS, VJ_CUDA_NET_RECORDINGS);
}

static void a_call_that_fails_while_recorded_is_enqueued(void **state)
{
    cudaError_t const ends[] = {cudaSuccess, cudaErrorStreamCaptureInvalidated};
    for (int i = 0; i < 2; i++) {
        start(state);
        now.result = -EIO;
        now.end = ends[i];
        run_times(1, 4);
        expect(4, 1, 0);
        assert_int_equal(err.code, 0);
    }
}

static void stream_0_and_streams_that_the_caller_records_are_left_alone(void **state)
{
    (void)state;
    struct vj_cuda_net_call call = a_call(1);
    call.stream = NULL;
    for (int i = 0; i < 3; i++)
        assert_int_equal(run(&call), 0);
    run_times(1, 2);
    now.by_caller = true;
    run_times(1, 3); /* although there is a recording */
    run_times(2, 3);
    now.by_caller = false;
    run_times(1, 1);
    expect(3 + 1 + 6, 1, 2);
}

static void a_failing_launch_is_an_error(void **state)
{
    (void)state;
    const struct vj_cuda_net_call call = a_call(1);
    run_times(1, 2);
    now.launch = cudaErrorLaunchFailure;
    assert_int_equal(run(&call), -EIO);
    vj_assert_contains(err.text, "cudaGraphLaunch");
    expect(1, 1, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_second_call_records_and_later_ones_replay, start),
        cmocka_unit_test_setup(every_argument_makes_another_call, start),
        cmocka_unit_test_setup(the_oldest_call_gives_way, start),
        cmocka_unit_test_setup(what_is_refused_is_enqueued_and_not_tried_again, start),
        cmocka_unit_test_setup(the_place_of_a_call_that_is_refused_records_the_next_one, start),
        cmocka_unit_test_setup(a_call_that_fails_while_recorded_is_enqueued, start),
        cmocka_unit_test_setup(stream_0_and_streams_that_the_caller_records_are_left_alone, start),
        cmocka_unit_test_setup(a_failing_launch_is_an_error, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
