from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Raw(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("protocol", "version")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    version: str
    def __init__(self, protocol: _Optional[int] = ..., version: _Optional[str] = ...) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("lab", "state", "role")
    LAB_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    lab: str
    state: str
    role: str
    def __init__(self, lab: _Optional[str] = ..., state: _Optional[str] = ..., role: _Optional[str] = ...) -> None: ...

class RunsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RunSummary(_message.Message):
    __slots__ = ("id", "name", "status", "task", "waits_for")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    status: str
    task: str
    waits_for: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., status: _Optional[str] = ..., task: _Optional[str] = ..., waits_for: _Optional[str] = ...) -> None: ...

class RunsReply(_message.Message):
    __slots__ = ("runs",)
    RUNS_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[RunSummary]
    def __init__(self, runs: _Optional[_Iterable[_Union[RunSummary, _Mapping]]] = ...) -> None: ...

class RunRequest(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: str
    def __init__(self, run: _Optional[str] = ...) -> None: ...

class RunReply(_message.Message):
    __slots__ = ("id", "name", "plan", "view", "parameters_sha256", "error", "at", "rows")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_SHA256_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    plan: str
    view: str
    parameters_sha256: str
    error: str
    at: int
    rows: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., plan: _Optional[str] = ..., view: _Optional[str] = ..., parameters_sha256: _Optional[str] = ..., error: _Optional[str] = ..., at: _Optional[int] = ..., rows: _Optional[str] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("protocol", "version", "runs")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    version: str
    runs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, protocol: _Optional[int] = ..., version: _Optional[str] = ..., runs: _Optional[_Iterable[str]] = ...) -> None: ...

class WatchNote(_message.Message):
    __slots__ = ("run", "view", "error", "state", "at")
    RUN_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    run: str
    view: str
    error: str
    state: str
    at: int
    def __init__(self, run: _Optional[str] = ..., view: _Optional[str] = ..., error: _Optional[str] = ..., state: _Optional[str] = ..., at: _Optional[int] = ...) -> None: ...

class EventsRequest(_message.Message):
    __slots__ = ("protocol", "version", "after")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    version: str
    after: str
    def __init__(self, protocol: _Optional[int] = ..., version: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class EventNote(_message.Message):
    __slots__ = ("type", "cursor", "run", "data")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    type: str
    cursor: str
    run: str
    data: str
    def __init__(self, type: _Optional[str] = ..., cursor: _Optional[str] = ..., run: _Optional[str] = ..., data: _Optional[str] = ...) -> None: ...

class KnownRequest(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tokens: _Optional[_Iterable[str]] = ...) -> None: ...

class KnownReply(_message.Message):
    __slots__ = ("gone",)
    GONE_FIELD_NUMBER: _ClassVar[int]
    gone: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, gone: _Optional[_Iterable[str]] = ...) -> None: ...

class VitalsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VitalsReply(_message.Message):
    __slots__ = ("vitals",)
    VITALS_FIELD_NUMBER: _ClassVar[int]
    vitals: str
    def __init__(self, vitals: _Optional[str] = ...) -> None: ...

class RoundRequest(_message.Message):
    __slots__ = ("run", "round")
    RUN_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    run: str
    round: int
    def __init__(self, run: _Optional[str] = ..., round: _Optional[int] = ...) -> None: ...

class SqlRequest(_message.Message):
    __slots__ = ("query", "rows", "timeout_s")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    query: str
    rows: int
    timeout_s: float
    def __init__(self, query: _Optional[str] = ..., rows: _Optional[int] = ..., timeout_s: _Optional[float] = ...) -> None: ...

class ModelRequest(_message.Message):
    __slots__ = ("run", "round")
    RUN_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    run: str
    round: RoundKey
    def __init__(self, run: _Optional[str] = ..., round: _Optional[_Union[RoundKey, _Mapping]] = ...) -> None: ...

class ModelHead(_message.Message):
    __slots__ = ("layout", "n_values", "n_integers", "sha256")
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    N_VALUES_FIELD_NUMBER: _ClassVar[int]
    N_INTEGERS_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    layout: str
    n_values: int
    n_integers: int
    sha256: str
    def __init__(self, layout: _Optional[str] = ..., n_values: _Optional[int] = ..., n_integers: _Optional[int] = ..., sha256: _Optional[str] = ...) -> None: ...

class RoundKey(_message.Message):
    __slots__ = ("run", "generation", "round")
    RUN_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    run: str
    generation: int
    round: int
    def __init__(self, run: _Optional[str] = ..., generation: _Optional[int] = ..., round: _Optional[int] = ...) -> None: ...

class HistoryRequest(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: str
    def __init__(self, run: _Optional[str] = ...) -> None: ...

class CheckpointRequest(_message.Message):
    __slots__ = ("run", "which", "condition")
    RUN_FIELD_NUMBER: _ClassVar[int]
    WHICH_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    run: str
    which: str
    condition: str
    def __init__(self, run: _Optional[str] = ..., which: _Optional[str] = ..., condition: _Optional[str] = ...) -> None: ...

class DiffRequest(_message.Message):
    __slots__ = ("before", "after")
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    before: RoundKey
    after: RoundKey
    def __init__(self, before: _Optional[_Union[RoundKey, _Mapping]] = ..., after: _Optional[_Union[RoundKey, _Mapping]] = ...) -> None: ...

class ExportRequest(_message.Message):
    __slots__ = ("round", "after")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    round: RoundKey
    after: int
    def __init__(self, round: _Optional[_Union[RoundKey, _Mapping]] = ..., after: _Optional[int] = ...) -> None: ...

class FileHead(_message.Message):
    __slots__ = ("n_bytes", "sha256")
    N_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    n_bytes: int
    sha256: str
    def __init__(self, n_bytes: _Optional[int] = ..., sha256: _Optional[str] = ...) -> None: ...

class BranchRequest(_message.Message):
    __slots__ = ("run", "name", "at", "changes", "id")
    RUN_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    run: str
    name: str
    at: str
    changes: str
    id: str
    def __init__(self, run: _Optional[str] = ..., name: _Optional[str] = ..., at: _Optional[str] = ..., changes: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class RollbackRequest(_message.Message):
    __slots__ = ("run", "seen_generation", "seen_round", "base", "reason", "id")
    RUN_FIELD_NUMBER: _ClassVar[int]
    SEEN_GENERATION_FIELD_NUMBER: _ClassVar[int]
    SEEN_ROUND_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    run: str
    seen_generation: int
    seen_round: int
    base: RoundKey
    reason: str
    id: str
    def __init__(self, run: _Optional[str] = ..., seen_generation: _Optional[int] = ..., seen_round: _Optional[int] = ..., base: _Optional[_Union[RoundKey, _Mapping]] = ..., reason: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class AliasRequest(_message.Message):
    __slots__ = ("run", "name", "which", "condition", "reason")
    RUN_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    WHICH_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    run: str
    name: str
    which: str
    condition: str
    reason: str
    def __init__(self, run: _Optional[str] = ..., name: _Optional[str] = ..., which: _Optional[str] = ..., condition: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ReplayRequest(_message.Message):
    __slots__ = ("run", "which", "exclude", "train")
    RUN_FIELD_NUMBER: _ClassVar[int]
    WHICH_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    TRAIN_FIELD_NUMBER: _ClassVar[int]
    run: str
    which: str
    exclude: _containers.RepeatedScalarFieldContainer[str]
    train: bool
    def __init__(self, run: _Optional[str] = ..., which: _Optional[str] = ..., exclude: _Optional[_Iterable[str]] = ..., train: _Optional[bool] = ...) -> None: ...

class MakeReplayRequest(_message.Message):
    __slots__ = ("asked", "base", "until", "branch", "reason", "id")
    ASKED_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    BRANCH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    asked: ReplayRequest
    base: RoundKey
    until: RoundKey
    branch: str
    reason: str
    id: str
    def __init__(self, asked: _Optional[_Union[ReplayRequest, _Mapping]] = ..., base: _Optional[_Union[RoundKey, _Mapping]] = ..., until: _Optional[_Union[RoundKey, _Mapping]] = ..., branch: _Optional[str] = ..., reason: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class ExpiryRequest(_message.Message):
    __slots__ = ("run", "older_than", "keep")
    RUN_FIELD_NUMBER: _ClassVar[int]
    OLDER_THAN_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    run: str
    older_than: str
    keep: str
    def __init__(self, run: _Optional[str] = ..., older_than: _Optional[str] = ..., keep: _Optional[str] = ...) -> None: ...

class ExpireRequest(_message.Message):
    __slots__ = ("run", "goes", "before", "reason", "id")
    RUN_FIELD_NUMBER: _ClassVar[int]
    GOES_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    run: str
    goes: _containers.RepeatedCompositeFieldContainer[RoundKey]
    before: str
    reason: str
    id: str
    def __init__(self, run: _Optional[str] = ..., goes: _Optional[_Iterable[_Union[RoundKey, _Mapping]]] = ..., before: _Optional[str] = ..., reason: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class VerifyRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class ProtectRequest(_message.Message):
    __slots__ = ("run", "protected", "reason")
    RUN_FIELD_NUMBER: _ClassVar[int]
    PROTECTED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    run: str
    protected: bool
    reason: str
    def __init__(self, run: _Optional[str] = ..., protected: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class TaskName(_message.Message):
    __slots__ = ("use", "arguments", "fingerprint")
    USE_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    use: str
    arguments: str
    fingerprint: str
    def __init__(self, use: _Optional[str] = ..., arguments: _Optional[str] = ..., fingerprint: _Optional[str] = ...) -> None: ...

class SimulateRequest(_message.Message):
    __slots__ = ("task", "settings")
    TASK_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    task: TaskName
    settings: str
    def __init__(self, task: _Optional[_Union[TaskName, _Mapping]] = ..., settings: _Optional[str] = ...) -> None: ...

class SimulateReply(_message.Message):
    __slots__ = ("population",)
    POPULATION_FIELD_NUMBER: _ClassVar[int]
    population: str
    def __init__(self, population: _Optional[str] = ...) -> None: ...

class StartRequest(_message.Message):
    __slots__ = ("task", "plan", "name")
    TASK_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    task: TaskName
    plan: str
    name: str
    def __init__(self, task: _Optional[_Union[TaskName, _Mapping]] = ..., plan: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class PauseRequest(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: str
    def __init__(self, run: _Optional[str] = ...) -> None: ...

class StopRequest(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: str
    def __init__(self, run: _Optional[str] = ...) -> None: ...

class ResumeRequest(_message.Message):
    __slots__ = ("run", "changes", "workers")
    RUN_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    run: str
    changes: str
    workers: int
    def __init__(self, run: _Optional[str] = ..., changes: _Optional[str] = ..., workers: _Optional[int] = ...) -> None: ...

class ToldReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PageRequest(_message.Message):
    __slots__ = ("limit", "offset", "run", "client", "state", "actor", "verb", "committed", "after")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    VERB_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    limit: int
    offset: int
    run: str
    client: str
    state: str
    actor: str
    verb: str
    committed: bool
    after: str
    def __init__(self, limit: _Optional[int] = ..., offset: _Optional[int] = ..., run: _Optional[str] = ..., client: _Optional[str] = ..., state: _Optional[str] = ..., actor: _Optional[str] = ..., verb: _Optional[str] = ..., committed: _Optional[bool] = ..., after: _Optional[str] = ...) -> None: ...

class StudyRequest(_message.Message):
    __slots__ = ("study", "limit", "offset", "measured")
    STUDY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    study: str
    limit: int
    offset: int
    measured: bool
    def __init__(self, study: _Optional[str] = ..., limit: _Optional[int] = ..., offset: _Optional[int] = ..., measured: _Optional[bool] = ...) -> None: ...

class QuarantineRequest(_message.Message):
    __slots__ = ("client", "reason")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    client: str
    reason: str
    def __init__(self, client: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ClientsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ClientsReply(_message.Message):
    __slots__ = ("clients",)
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    clients: str
    def __init__(self, clients: _Optional[str] = ...) -> None: ...

class InviteRequest(_message.Message):
    __slots__ = ("client", "expires")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    client: str
    expires: str
    def __init__(self, client: _Optional[str] = ..., expires: _Optional[str] = ...) -> None: ...

class InviteReply(_message.Message):
    __slots__ = ("text", "expires_at", "certificate")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    text: str
    expires_at: str
    certificate: str
    def __init__(self, text: _Optional[str] = ..., expires_at: _Optional[str] = ..., certificate: _Optional[str] = ...) -> None: ...

class RevokeRequest(_message.Message):
    __slots__ = ("client", "reason")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    client: str
    reason: str
    def __init__(self, client: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RevokeReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TokensRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TokensReply(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: str
    def __init__(self, tokens: _Optional[str] = ...) -> None: ...

class GrantRequest(_message.Message):
    __slots__ = ("name", "role", "expires")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    name: str
    role: str
    expires: str
    def __init__(self, name: _Optional[str] = ..., role: _Optional[str] = ..., expires: _Optional[str] = ...) -> None: ...

class GrantReply(_message.Message):
    __slots__ = ("text", "expires_at", "certificate")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    text: str
    expires_at: str
    certificate: str
    def __init__(self, text: _Optional[str] = ..., expires_at: _Optional[str] = ..., certificate: _Optional[str] = ...) -> None: ...

class RevokeTokenRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class RevokeTokenReply(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...
