from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Chunk(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class JoinRequest(_message.Message):
    __slots__ = ("protocol", "version", "token", "public_key", "signature")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    version: str
    token: str
    public_key: bytes
    signature: bytes
    def __init__(self, protocol: _Optional[int] = ..., version: _Optional[str] = ..., token: _Optional[str] = ..., public_key: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class JoinReply(_message.Message):
    __slots__ = ("client", "lab")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    LAB_FIELD_NUMBER: _ClassVar[int]
    client: str
    lab: str
    def __init__(self, client: _Optional[str] = ..., lab: _Optional[str] = ...) -> None: ...

class ChallengeRequest(_message.Message):
    __slots__ = ("protocol", "client")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    client: str
    def __init__(self, protocol: _Optional[int] = ..., client: _Optional[str] = ...) -> None: ...

class ChallengeReply(_message.Message):
    __slots__ = ("nonce",)
    NONCE_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    def __init__(self, nonce: _Optional[bytes] = ...) -> None: ...

class SignInRequest(_message.Message):
    __slots__ = ("client", "nonce", "signature")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    client: str
    nonce: bytes
    signature: bytes
    def __init__(self, client: _Optional[str] = ..., nonce: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class SignInReply(_message.Message):
    __slots__ = ("access_token", "lifetime_s")
    ACCESS_TOKEN_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_S_FIELD_NUMBER: _ClassVar[int]
    access_token: str
    lifetime_s: float
    def __init__(self, access_token: _Optional[str] = ..., lifetime_s: _Optional[float] = ...) -> None: ...

class RotateRequest(_message.Message):
    __slots__ = ("protocol", "client", "nonce", "public_key", "signature", "possession")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    POSSESSION_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    client: str
    nonce: bytes
    public_key: bytes
    signature: bytes
    possession: bytes
    def __init__(self, protocol: _Optional[int] = ..., client: _Optional[str] = ..., nonce: _Optional[bytes] = ..., public_key: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., possession: _Optional[bytes] = ...) -> None: ...

class RotateReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AssignmentId(_message.Message):
    __slots__ = ("run", "generation", "round", "attempt", "stage", "client")
    RUN_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    run: str
    generation: int
    round: int
    attempt: int
    stage: str
    client: str
    def __init__(self, run: _Optional[str] = ..., generation: _Optional[int] = ..., round: _Optional[int] = ..., attempt: _Optional[int] = ..., stage: _Optional[str] = ..., client: _Optional[str] = ...) -> None: ...

class Manifest(_message.Message):
    __slots__ = ("n_bytes", "hashes")
    N_BYTES_FIELD_NUMBER: _ClassVar[int]
    HASHES_FIELD_NUMBER: _ClassVar[int]
    n_bytes: int
    hashes: bytes
    def __init__(self, n_bytes: _Optional[int] = ..., hashes: _Optional[bytes] = ...) -> None: ...

class Segment(_message.Message):
    __slots__ = ("run", "generation", "after", "last")
    RUN_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    run: str
    generation: int
    after: int
    last: int
    def __init__(self, run: _Optional[str] = ..., generation: _Optional[int] = ..., after: _Optional[int] = ..., last: _Optional[int] = ...) -> None: ...

class Assignment(_message.Message):
    __slots__ = ("id", "seed", "entry", "local", "weighting", "federated", "deadline_s", "base", "inline", "line")
    ID_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    LOCAL_FIELD_NUMBER: _ClassVar[int]
    WEIGHTING_FIELD_NUMBER: _ClassVar[int]
    FEDERATED_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_S_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    INLINE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    id: AssignmentId
    seed: int
    entry: str
    local: bytes
    weighting: str
    federated: bool
    deadline_s: float
    base: Manifest
    inline: bytes
    line: _containers.RepeatedCompositeFieldContainer[Segment]
    def __init__(self, id: _Optional[_Union[AssignmentId, _Mapping]] = ..., seed: _Optional[int] = ..., entry: _Optional[str] = ..., local: _Optional[bytes] = ..., weighting: _Optional[str] = ..., federated: _Optional[bool] = ..., deadline_s: _Optional[float] = ..., base: _Optional[_Union[Manifest, _Mapping]] = ..., inline: _Optional[bytes] = ..., line: _Optional[_Iterable[_Union[Segment, _Mapping]]] = ...) -> None: ...

class Metric(_message.Message):
    __slots__ = ("name", "total", "count")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    name: str
    total: float
    count: float
    def __init__(self, name: _Optional[str] = ..., total: _Optional[float] = ..., count: _Optional[float] = ...) -> None: ...

class Envelope(_message.Message):
    __slots__ = ("assignment", "base_digest", "update", "n_examples", "loss", "train_s", "metrics", "went_back_to")
    ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    BASE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    N_EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    TRAIN_S_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    WENT_BACK_TO_FIELD_NUMBER: _ClassVar[int]
    assignment: AssignmentId
    base_digest: bytes
    update: Manifest
    n_examples: int
    loss: float
    train_s: float
    metrics: _containers.RepeatedCompositeFieldContainer[Metric]
    went_back_to: int
    def __init__(self, assignment: _Optional[_Union[AssignmentId, _Mapping]] = ..., base_digest: _Optional[bytes] = ..., update: _Optional[_Union[Manifest, _Mapping]] = ..., n_examples: _Optional[int] = ..., loss: _Optional[float] = ..., train_s: _Optional[float] = ..., metrics: _Optional[_Iterable[_Union[Metric, _Mapping]]] = ..., went_back_to: _Optional[int] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol", "version", "task", "layout_hash", "code_digest", "n_examples", "life", "held")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_HASH_FIELD_NUMBER: _ClassVar[int]
    CODE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    N_EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    LIFE_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    version: str
    task: str
    layout_hash: str
    code_digest: str
    n_examples: int
    life: bytes
    held: _containers.RepeatedCompositeFieldContainer[AssignmentId]
    def __init__(self, protocol: _Optional[int] = ..., version: _Optional[str] = ..., task: _Optional[str] = ..., layout_hash: _Optional[str] = ..., code_digest: _Optional[str] = ..., n_examples: _Optional[int] = ..., life: _Optional[bytes] = ..., held: _Optional[_Iterable[_Union[AssignmentId, _Mapping]]] = ...) -> None: ...

class Alive(_message.Message):
    __slots__ = ("working_on",)
    WORKING_ON_FIELD_NUMBER: _ClassVar[int]
    working_on: AssignmentId
    def __init__(self, working_on: _Optional[_Union[AssignmentId, _Mapping]] = ...) -> None: ...

class Offer(_message.Message):
    __slots__ = ("envelope", "signature", "inline")
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    INLINE_FIELD_NUMBER: _ClassVar[int]
    envelope: bytes
    signature: bytes
    inline: bytes
    def __init__(self, envelope: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., inline: _Optional[bytes] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("assignment", "traceback")
    ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    TRACEBACK_FIELD_NUMBER: _ClassVar[int]
    assignment: AssignmentId
    traceback: str
    def __init__(self, assignment: _Optional[_Union[AssignmentId, _Mapping]] = ..., traceback: _Optional[str] = ...) -> None: ...

class Proof(_message.Message):
    __slots__ = ("nonce", "signature")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    signature: bytes
    def __init__(self, nonce: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Leaving(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ClientNote(_message.Message):
    __slots__ = ("hello", "alive", "offer", "failure", "proof", "leaving")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    LEAVING_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    alive: Alive
    offer: Offer
    failure: Failure
    proof: Proof
    leaving: Leaving
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., alive: _Optional[_Union[Alive, _Mapping]] = ..., offer: _Optional[_Union[Offer, _Mapping]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ..., leaving: _Optional[_Union[Leaving, _Mapping]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("alive_every_s", "lease_s")
    ALIVE_EVERY_S_FIELD_NUMBER: _ClassVar[int]
    LEASE_S_FIELD_NUMBER: _ClassVar[int]
    alive_every_s: float
    lease_s: float
    def __init__(self, alive_every_s: _Optional[float] = ..., lease_s: _Optional[float] = ...) -> None: ...

class Wanted(_message.Message):
    __slots__ = ("assignment", "chunks")
    ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    assignment: AssignmentId
    chunks: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, assignment: _Optional[_Union[AssignmentId, _Mapping]] = ..., chunks: _Optional[_Iterable[int]] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("assignment", "kind", "reason")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[Verdict.Kind]
        RECEIVED: _ClassVar[Verdict.Kind]
        SETTLED: _ClassVar[Verdict.Kind]
        REFUSED: _ClassVar[Verdict.Kind]
    UNKNOWN: Verdict.Kind
    RECEIVED: Verdict.Kind
    SETTLED: Verdict.Kind
    REFUSED: Verdict.Kind
    ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    assignment: AssignmentId
    kind: Verdict.Kind
    reason: str
    def __init__(self, assignment: _Optional[_Union[AssignmentId, _Mapping]] = ..., kind: _Optional[_Union[Verdict.Kind, str]] = ..., reason: _Optional[str] = ...) -> None: ...

class Withdrawn(_message.Message):
    __slots__ = ("assignment", "reason")
    ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    assignment: AssignmentId
    reason: str
    def __init__(self, assignment: _Optional[_Union[AssignmentId, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class Renew(_message.Message):
    __slots__ = ("nonce",)
    NONCE_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    def __init__(self, nonce: _Optional[bytes] = ...) -> None: ...

class Token(_message.Message):
    __slots__ = ("access_token", "lifetime_s")
    ACCESS_TOKEN_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_S_FIELD_NUMBER: _ClassVar[int]
    access_token: str
    lifetime_s: float
    def __init__(self, access_token: _Optional[str] = ..., lifetime_s: _Optional[float] = ...) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ("reason", "for_good")
    REASON_FIELD_NUMBER: _ClassVar[int]
    FOR_GOOD_FIELD_NUMBER: _ClassVar[int]
    reason: str
    for_good: bool
    def __init__(self, reason: _Optional[str] = ..., for_good: _Optional[bool] = ...) -> None: ...

class CoordinatorNote(_message.Message):
    __slots__ = ("welcome", "assignment", "wanted", "verdict", "withdrawn", "renew", "token", "goodbye", "alive")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    RENEW_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    assignment: Assignment
    wanted: Wanted
    verdict: Verdict
    withdrawn: Withdrawn
    renew: Renew
    token: Token
    goodbye: Goodbye
    alive: Alive
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., assignment: _Optional[_Union[Assignment, _Mapping]] = ..., wanted: _Optional[_Union[Wanted, _Mapping]] = ..., verdict: _Optional[_Union[Verdict, _Mapping]] = ..., withdrawn: _Optional[_Union[Withdrawn, _Mapping]] = ..., renew: _Optional[_Union[Renew, _Mapping]] = ..., token: _Optional[_Union[Token, _Mapping]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ..., alive: _Optional[_Union[Alive, _Mapping]] = ...) -> None: ...

class FetchRequest(_message.Message):
    __slots__ = ("digest", "chunks")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    chunks: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, digest: _Optional[bytes] = ..., chunks: _Optional[_Iterable[int]] = ...) -> None: ...

class SendRequest(_message.Message):
    __slots__ = ("assignment", "chunks")
    ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    assignment: AssignmentId
    chunks: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, assignment: _Optional[_Union[AssignmentId, _Mapping]] = ..., chunks: _Optional[_Iterable[int]] = ...) -> None: ...

class SendReply(_message.Message):
    __slots__ = ("chunks",)
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    chunks: int
    def __init__(self, chunks: _Optional[int] = ...) -> None: ...
