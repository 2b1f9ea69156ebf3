"""The storm: faults that strike the parts and the links at random, one after the other and several at a time.

A fault is drawn from the table KINDS, begins, lasts and ends; nothing here waits, so the operator's commands go on
meanwhile: blow() is called every few milliseconds. calm() ends all faults at once.

Of three brokers one may be down; now and then a second one, for SECOND_SECONDS at most: then nothing can be written
(min.insync.replicas is 2), which has to pass by itself.
"""

import collections
import signal
import time

from fleet import COLORS
from kafka import Failure

AT_ONCE_MAX = 5
SECOND_SECONDS = 4
SECOND_ODDS = 0.15
LONG_ODDS = 0.3
SHORT_SECONDS = (0.1, 2.0)
LONG_SECONDS = (2.0, 14.0)  # past the session and past the time after which a member is thought gone
SPOIL_SECONDS = 10  # the judge has to see it
RENEW_SECONDS = 1  # for a goodbye
CRASH_SECONDS = 2  # between two deaths of a loop: long enough to have been heard
CALMS = (0.8, 2, 4)  # mean seconds between two faults; each round draws one


class Fault:
    """One that lasts. `strikes`: the names of parts and links that no other fault may strike meanwhile. `end` makes it good,
    and when `settled` says so, everything is as before. `again` is called all the while."""

    def __init__(self, what, whom, strikes, end, settled=lambda: True, again=lambda: None):
        self.what, self.whom, self.strikes, self.end, self.settled, self.again = what, whom, strikes, end, settled, again
        self.until = 0.0
        self.ended = False


class Storm:
    def __init__(self, fleet, random, note, spared=()):
        """`spared`: kinds of parts that are neither struck nor isolated."""
        self.fleet, self.random, self.note, self.spared = fleet, random, note, spared
        self.proxy = fleet.proxy
        self.faults = []
        self.counts = collections.Counter()
        self.given_up = collections.Counter()  # kind of part -> how often one ended by itself
        self.calm_s = CALMS[0]
        self.next = 0.0

    # -- what can happen -----------------------------------------------------------------------------------------

    def struck(self):
        """Names of the parts and links that a fault strikes now."""
        return {name for f in self.faults for name in f.strikes}

    def _brokers_down(self):
        return sum(any(isinstance(s, str) and s.startswith("kafka-") for s in f.strikes) for f in self.faults)

    def _part(self, kinds, color=None):
        """A part that nothing strikes yet; None when the dice say one that cannot be."""
        kind = self.random.choices(list(kinds), kinds.values())[0]
        if kind in self.spared:
            return None
        parts = [p for p in self.fleet.parts()
                 if p.kind == kind and p.name not in self.struck() and (color is None or p.color == color)]
        if not parts or kind == "broker" and not self._broker_allowed():
            return None
        return self.random.choice(parts)

    def _broker_allowed(self):
        down = self._brokers_down()
        return down == 0 or down == 1 and self.random.random() < SECOND_ODDS

    def _links(self):
        """A link, or all links of one part to the others."""
        free = [link for link in self.fleet.links() if link not in self.struck()]
        return [self.random.choice(free)] if free else []

    def kill(self):
        part = self._part({"member": 5, "controller": 3, "broker": 2})
        if part is None:
            return None
        part.kill()
        return Fault("kill", part.kind, [part.name], part.start, part.serves)

    def restart(self):
        part = self._part({"member": 5, "controller": 3, "broker": 2})
        if part is None:
            return None
        return self._restart(part)

    def _restart(self, part):
        part.child.send_signal(signal.SIGTERM)

        def end():
            part.kill()  # a stop that takes longer than it was given becomes a kill
            part.start()

        return Fault("restart", part.kind, [part.name], end, part.serves)

    def vanish(self, color=None):
        """All members of a color at once."""
        color = color or self.random.choice(COLORS)
        members = self.fleet.of(color, alive=False)
        if "member" in self.spared or any(m.name in self.struck() for m in members):
            return None
        for m in members:
            m.kill()

        def end():
            for m in members:
                m.start()

        return Fault("vanish", "color", [m.name for m in members], end)

    def crash_loop(self, color=None):
        """One member dies again and again, a while after each start."""
        part = self._part({"member": 1}, color)
        if part is None:
            return None
        part.kill()
        part.start()
        dies = [time.monotonic() + CRASH_SECONDS]

        def again():
            if time.monotonic() >= dies[0]:
                part.kill()
                part.start()
                dies[0] = time.monotonic() + CRASH_SECONDS

        return Fault("crash loop", part.kind, [part.name], lambda: None, again=again)

    def freeze(self):
        part = self._part({"member": 5, "controller": 3, "broker": 2, "producer": 1})
        if part is None:
            return None
        part.freeze()
        return Fault("freeze", part.kind, [part.name], part.thaw)

    def _spoil(self, what, whom, links, up, down, strikes=()):
        if not links:
            return None
        for link in links:
            self.proxy.say("link", *link, up, down)

        def end():
            for link in links:
                self.proxy.say("link", *link, "-", "-")

        return Fault(what, whom, [*links, *strikes], end)

    def _spoil_one(self, what, state):
        """One way or both."""
        links = self._links()
        up, down = self.random.choice(((state, "-"), ("-", state), (state, state)))
        return self._spoil(what if up == down else f"{what} one way", _about(links), links, up, down)

    def cut(self):
        return self._spoil_one("cut", "cut")

    def delay(self):
        return self._spoil_one("delay", f"delay:{self.random.choice((20, 100, 500, 2000))}")

    def throttle(self):
        return self._spoil_one("throttle", f"throttle:{self.random.choice((500, 5000, 50000))}")

    def reset(self):
        links = self._links()
        for link in links:
            self.proxy.say("reset", *link)
        return Fault("reset", _about(links), links, lambda: None) if links else None

    def isolate(self):
        """Cut off from everybody, one way or both."""
        part = self._part({"member": 5, "controller": 3, "broker": 2, "producer": 1})
        if part is None:
            return None
        links = [link for link in self.fleet.links() if part.name in link and link not in self.struck()]
        up, down = self.random.choice((("cut", "-"), ("-", "cut"), ("cut", "cut"), ("cut", "cut")))
        return self._spoil("isolate" if up == down else "isolate one way", part.kind, links, up, down, [part.name])

    def renew(self, part):
        """A part that nothing strikes is started again on purpose. Of the others, who is down will be; who sleeps stays what it is."""
        if part.name not in self.struck():
            fault = self._restart(part)
            fault.until = time.monotonic() + RENEW_SECONDS
            self.faults.append(fault)
            self.note(f"renew {part.name}")

    # -- looking after them -------------------------------------------------------------------------------------

    def supervise(self):
        """Faults end when their time is over. Who ended by itself is started again, as an orchestrator would: a process that finds
        no broker at its start may give up. One that crashed is a failure."""
        struck = self.struck()
        for part in self.fleet.parts():
            code = None if part.name in struck else part.child.poll()
            if code is None:
                continue
            if code < 0 or part.kind == "producer":
                raise Failure(f"{part.name} ended by itself with {code}, see {part.log}")
            self.note(f"{part.name} ended by itself with {code}: started again")
            self.given_up[part.kind] += 1
            part.kill()
            part.start()
            fault = Fault("", "", [part.name], lambda: None, part.serves)
            fault.ended = True
            self.faults.append(fault)
        now = time.monotonic()
        for f in list(self.faults):
            if not f.ended and now >= f.until:
                self._end(f)
            elif not f.ended:
                f.again()
            elif f.settled():
                self.faults.remove(f)

    def _end(self, fault):
        fault.end()
        fault.ended = True
        self.note(f"end {fault.what} {_names(fault.strikes)}")

    # -- blowing -------------------------------------------------------------------------------------------------

    def begin(self):
        """A new round: another strength."""
        self.calm_s = self.random.choice(CALMS)
        self.next = time.monotonic()

    def blow(self):
        self.supervise()
        now = time.monotonic()
        if now < self.next or len(self.faults) >= AT_ONCE_MAX:
            return
        self.next = now + self.random.expovariate(1 / self.calm_s)
        draw = self.random.choices([k for k, _ in KINDS], [w for _, w in KINDS])[0]
        second = self._brokers_down() > 0
        fault = draw(self)
        if fault is None:
            return
        seconds = self.random.uniform(*(LONG_SECONDS if draw in LONG_KINDS or self.random.random() < LONG_ODDS else SHORT_SECONDS))
        if second and fault.whom == "broker":
            seconds = min(seconds, SECOND_SECONDS)
            self.counts["two at once", "broker"] += 1
        self._begin(fault, 0 if draw is Storm.reset else seconds)

    def spoil(self, color):
        """What is wrong with a version that fails: one of its processes dies again and again, or none stays."""
        fault = self.random.choice((self.vanish, self.crash_loop, self.crash_loop))(color)
        if fault:
            self._begin(fault, SPOIL_SECONDS)

    def _begin(self, fault, seconds):
        fault.until = time.monotonic() + seconds
        self.faults.append(fault)
        self.counts[fault.what, fault.whom] += 1
        self.note(f"{fault.what} {_names(fault.strikes)} for {seconds:.1f} s")

    def calm(self):
        """Every fault ends now. Who was struck may still be starting: supervise() until none is left."""
        for f in self.faults:
            if not f.ended:
                self._end(f)
        self.proxy.say("clear")
        self.note("calm")


KINDS = (
    (Storm.kill, 5),
    (Storm.freeze, 5),
    (Storm.restart, 4),
    (Storm.isolate, 3),
    (Storm.cut, 5),
    (Storm.delay, 4),
    (Storm.throttle, 3),
    (Storm.reset, 3),
    (Storm.vanish, 1),
    (Storm.crash_loop, 1),
)
LONG_KINDS = (Storm.vanish, Storm.crash_loop)


def _about(links):
    """What kind of link: "member-broker"."""
    words = {"blue": "member", "green": "member", "kafka": "broker", "other": "operator"}
    ends = [name.split("-")[0] for name in links[0]] if links else []
    return "-".join(words.get(e, e) for e in ends)


def _names(strikes):
    return ", ".join(s if isinstance(s, str) else "->".join(s) for s in strikes[:4]) + (" ..." if len(strikes) > 4 else "")
