"""Linux with nftables: stateful on firewalls, stateless in the bridge of a switch.

*own*: one table of ours with a base chain and a chain per interface, replaced as a whole in one transaction.
*extend*: rules of ours, marked in their comments, between the rules of a foreign chain.
*jump*: one chain of ours inside a foreign table, reached by one jump at the top of the foreign chain.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from difflib import unified_diff
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from toolkit.errors import PolicyError
from toolkit.net import Direction
from toolkit.platforms import _linux_routes
from toolkit.platforms._nft_eval import View
from toolkit.platforms._nft_json import read_listing
from toolkit.platforms._nft_lists import listed_chains
from toolkit.platforms._nft_model import Chain, Ruleset, write_ruleset, write_table
from toolkit.platforms._nft_place import place, placed, script, without_ours
from toolkit.platforms._nft_render import render
from toolkit.platforms._nft_text import apply_script
from toolkit.platforms._sizes import Counting, ListSize, check_fits
from toolkit.platforms.base import (
    CandidateConfig,
    Capabilities,
    ChangeSet,
    ConnState,
    Decision,
    DeviceContext,
    EntryList,
    FilterState,
)
from toolkit.topology import Ownership

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toolkit.net import Packet
    from toolkit.packets import PacketSet, Space
    from toolkit.platforms.base import NextHop, RouteQuery
    from toolkit.policy import DevicePolicy


@dataclass(frozen=True, slots=True)
class NftState:
    """A device's ruleset, for one device."""

    context: DeviceContext
    ruleset: Ruleset

    def permitted(self, space: Space, interface: str, state: ConnState) -> PacketSet:
        """See `FilterState`."""
        return View(self.ruleset, self.context, interface, state).permitted(space)

    def decide(self, interface: str, packet: Packet, state: ConnState) -> Decision:
        """See `FilterState`."""
        return View(self.ruleset, self.context, interface, state).decide(packet)

    def filters_ipv6(self, interface: str) -> bool:
        """Whether IPv6 that no rule permits is dropped for packets entering by an interface."""
        return View(self.ruleset, self.context, interface, ConnState.NEW).filters_ipv6()

    def fingerprint(self) -> str:
        """See `FilterState`."""
        return hashlib.sha256(write_ruleset(self.ruleset, comments=False).encode()).hexdigest()

    def owned(self) -> NftState | None:
        """See `FilterState`; in a foreign table our chain, and our rules in other people's chains."""
        key, name = place(self.context)
        tables = self.ruleset.tables
        if self.context.node.filter.mode is Ownership.OWN:
            return NftState(self.context, Ruleset({key: tables[key]})) if key in tables else None
        rules = placed(self.ruleset, self.context)
        ours = tables.get(key, {}).get(name)
        if ours is None and not rules:
            return None
        chains = {name: ours or Chain(name), PLACED: Chain(PLACED, None, tuple(rule for _, _, rule in rules))}
        return NftState(self.context, Ruleset({key: chains}))

    def without_owned(self) -> NftState:
        """The state as if the toolkit had never been there."""
        if self.context.node.filter.mode is Ownership.OWN:
            return NftState(self.context, self.ruleset.with_table(place(self.context)[0], None))
        return NftState(self.context, without_ours(self.ruleset, self.context))

    def lists(self) -> tuple[EntryList, ...]:
        """See `FilterState`: a list is a base chain with the rules of the chains that it leads to."""
        return listed_chains(self.ruleset, self.context)

    def text(self) -> str:
        """See `FilterState`."""
        return write_ruleset(self.ruleset)

    def whole(self) -> None:
        """Analysers of configurations do not read nftables."""

    def sizes(self) -> tuple[ListSize, ...]:
        """See `FilterState`: the rules of each chain; an interface only where one jump leads there from its packets."""
        found = []
        for key, chains in self.ruleset.tables.items():
            ways = _entered_by(chains)
            for chain in chains.values():
                name = f"{key[0]} {key[1]} {chain.name}"
                count = len(chain.rules)
                size = ListSize(
                    ways.get(chain.name, ""), Direction.IN, name, count, count, count, (chain.base, chain.rules)
                )
                found.append(size)
        return tuple(found)


def _entered_by(chains: Mapping[str, Chain]) -> dict[str, str]:
    """Chains that only packets of one interface are led to, with it."""
    found: dict[str, set[str]] = {}
    for chain in chains.values():
        for rule in chain.rules:
            inwards = rule.match("iifname")
            if rule.target:
                alone = inwards is not None and not inwards.negated and len(inwards.values) == 1
                found.setdefault(rule.target, set()).add(str(inwards.values[0]) if inwards and alone else "")
    return {name: next(iter(ways)) for name, ways in found.items() if len(ways) == 1}


PLACED: Final = "placed"


class LinuxNftables:
    """The platform; see `toolkit.platforms.base.Platform`."""

    name: ClassVar[str] = "linux_nftables"
    transport: ClassVar[Literal["exec", "cli"]] = "exec"
    netmiko_driver: ClassVar[str] = "linux"
    block_size: ClassVar[int] = 1  # a text goes in whole
    capabilities: ClassVar[Capabilities] = Capabilities(
        routed=(Direction.IN,),
        switched=(Direction.IN,),
        log=True,
        established=True,
        fragments="a firewall reassembles first; a bridge looks where the ports would be, so they are denied first",
        commit_confirm=False,
        commit_note="one transaction: the kernel takes all of it or nothing; there is no timed confirm",
        counting=Counting(
            (Direction.IN,), shared=True, note="rules of all chains; a kernel has no TCAM, and a set is one look-up"
        ),
    )
    show_commands: ClassVar[tuple[str, ...]] = ("/usr/sbin/nft -j list ruleset",)
    load_command: ClassVar[str] = "/usr/sbin/nft -f -"
    failure_indicators: ClassVar[tuple[str, ...]] = (
        "Error:",
        "syntax error",
        "No such file or directory",
        "Operation not permitted",
    )

    def empty(self, context: DeviceContext) -> NftState:
        """A device without any ruleset."""
        return NftState(context, Ruleset())

    def parse_config(self, text: str, file: str, context: DeviceContext, before: FilterState) -> NftState:
        """The state after `nft -f` of a text on a device in the state `before`."""
        return NftState(context, apply_script(text, file, _ruleset(before)))

    def parse_running(self, outputs: Mapping[str, str], context: DeviceContext) -> NftState:
        """The state that `nft -j list ruleset` reports."""
        return NftState(context, read_listing(outputs[self.show_commands[0]], context.device))

    def render(self, policy: DevicePolicy, running: FilterState) -> CandidateConfig:
        """Our table, our chain or rules in a foreign one; refused where that would not do what the policy asks."""
        now = NftState(running.context, _ruleset(running))
        svi = next((one for one in now.context.node.interfaces.values() if one.routes_for is not None), None)
        if svi is not None:
            raise PolicyError(
                f"{policy.device} {svi.name}: a Linux device that routes for its own bridge ({svi.routes_for}) is not "
                "supported, since frames meet two families of hooks; let it switch or route, or use filter.mode none"
            )
        trunk = next((one for one in now.context.node.interfaces.values() if one.trunk), None)
        if trunk is not None:
            raise PolicyError(
                f"{policy.device} {trunk.name}: Linux has an interface for each VLAN of a trunk; name those in "
                f"hosts.yaml, as {trunk.name}.{trunk.trunk[0][0]}: {{bridge: {trunk.trunk[0][1]}}}"
            )
        return render(policy, now.context, now.ruleset, now.without_owned().ruleset)

    def change(self, candidate: CandidateConfig, running: FilterState) -> ChangeSet:
        """What to send; nothing where the device has it already."""
        now = NftState(running.context, _ruleset(running))
        foreign = now.without_owned()
        goal = NftState(now.context, apply_script(candidate.text, candidate.device, foreign.ruleset))
        before, after = _owned_text(now), _owned_text(goal)
        if before == after:
            return ChangeSet(candidate.device, "", "", {}, "")
        check_fits(now, goal, self.capabilities.counting)
        diff = "".join(
            unified_diff(
                before.splitlines(keepends=True),
                after.splitlines(keepends=True),
                f"{candidate.device} running",
                f"{candidate.device} candidate",
            )
        )
        apply = candidate.text
        if now.owned() is not None and now.context.node.filter.mode is Ownership.JUMP:
            apply = self._script(goal, now)
        elif now.context.node.filter.mode is Ownership.EXTEND:
            # The rules of others are named by their handles: an index would count what somebody adds meanwhile.
            apply = candidate.text.partition("\n")[0] + "\n" + self._script(goal, now)
        return ChangeSet(candidate.device, apply, self.restore(now, goal), self.startup(goal), diff)

    def spelled_out(self, interface: str) -> str:
        """See `Platform`; names are not shortened here."""
        return interface

    def ask_routes(self, queries: Sequence[RouteQuery]) -> tuple[str, str]:
        """See `Platform`."""
        return _linux_routes.ask(queries)

    def read_routes(
        self, queries: Sequence[RouteQuery], output: str, errors: str, device: str
    ) -> tuple[frozenset[NextHop], ...]:
        """See `Platform`."""
        return _linux_routes.read(queries, output, errors, device)

    def restore(self, target: FilterState, running: FilterState) -> str:
        """A transaction that makes what is ours as it is in `target`."""
        goal = NftState(target.context, _ruleset(target))
        now = NftState(running.context, _ruleset(running))
        if _owned_text(goal) == _owned_text(now):
            return ""
        return self._script(goal, now)

    def startup(self, state: FilterState) -> Mapping[str, str | None]:
        """Our file among those that /etc/nftables.conf includes at boot."""
        one = NftState(state.context, _ruleset(state))
        path = f"/etc/nftables.d/{one.context.prefix}.nft"
        return {path: self._script(one, one.without_owned(), boot=True) if one.owned() else None}

    def _script(self, goal: NftState, now: NftState, *, boot: bool = False) -> str:
        """A transaction from one state to another; at boot the handles of the foreign rules are not known yet."""
        if goal.context.node.filter.mode is not Ownership.OWN:
            return script(goal.ruleset, now.ruleset, goal.context, handles=not boot)
        key, _ = place(goal.context)
        drop = f"table {key[0]} {key[1]} {{\n}}\ndelete table {key[0]} {key[1]}\n"
        return drop + (write_table(key, goal.ruleset.tables[key]) if goal.owned() else "")


PLATFORM = LinuxNftables()


def _ruleset(state: FilterState) -> Ruleset:
    if not isinstance(state, NftState):
        raise TypeError(f"{type(state).__name__} is no state of linux_nftables")
    return state.ruleset


def _owned_text(state: NftState) -> str:
    """What is ours, and where it stands, which decides as well."""
    owned = state.owned()
    if state.context.node.filter.mode is Ownership.EXTEND:
        return _extended_text(state)
    if owned is None:
        return ""
    if state.context.node.filter.mode is Ownership.OWN:
        return owned.text()
    found = [f"# jump at rule {number} of chain {chain}\n" for chain, number, _ in placed(state.ruleset, state.context)]
    return owned.text() + "".join(found)


def _extended_text(state: NftState) -> str:
    """The foreign chains that hold rules of ours, and a chain of ours from earlier days."""
    key, name = place(state.context)
    chains = state.ruleset.tables.get(key, {})
    shown = {name, state.context.node.filter.chain, *(chain for chain, _, _ in placed(state.ruleset, state.context))}
    return write_table(key, {chain: body for chain, body in chains.items() if chain in shown})
