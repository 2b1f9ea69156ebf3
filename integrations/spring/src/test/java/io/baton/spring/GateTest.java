package io.baton.spring;

import static io.baton.spring.Rig.MARK;
import static io.baton.spring.Rig.at;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.WakeupException;
import org.junit.jupiter.api.Test;

/** The rules of the lifecycle contract, one by one, and the traps of Spring's containers. */
class GateTest {

    private final Rig rig = new Rig();

    // --- rule 1: which PUT counts -------------------------------------------------------------------------------------

    @Test
    void anOlderOrForeignWordIsRefusedAndChangesNothing() {
        rig.assign(0);
        assertThat(rig.put(7)).isNull();
        assertThat(rig.put(7)).as("the same again").isNull();
        assertThat(rig.put(6)).contains("revision 7 was told already");
        rig.agent = "agent-two";
        assertThat(rig.put(7)).contains("by agent agent-one");
        assertThat(rig.put(8)).as("a new agent takes over with a higher revision").isNull();
        assertThat(desired()).containsEntry("agent", "agent-two").containsEntry("revision", 8L);
    }

    @Test
    void anotherInstancesOrAnOlderEpochsWordIsRefused() throws Exception {
        assertThat(rig.put(3)).isNull();
        String body = rig.body(4);
        assertThat(rig.gate.put(Told.read(body.replace(rig.gate.instance, "somebody-else").getBytes()))).contains("not somebody");
        assertThat(rig.gate.put(Told.read(body.replace("\"term\":5", "\"term\":4").getBytes()))).contains("is older");
        assertThat(rig.gate.put(Told.read(body.replace("\"epoch\":9", "\"epoch\":8").getBytes()))).contains("is older");
        assertThat(rig.gate.put(Told.read(body.replace("\"term\":5", "\"term\":6").replace("\"epoch\":9", "\"epoch\":1")
                .getBytes()))).as("a new term counts its epochs anew").isNull();
    }

    @Test
    void theSameRevisionWithOtherWordsChangesNothing() {
        rig.running(0);
        rig.hold(0);
        rig.put(rig.revision);
        rig.poll();
        assertThat(rig.state(0)).startsWith("running");
    }

    // --- rule 2: held until told --------------------------------------------------------------------------------------

    @Test
    void nothingComesBeforeItIsTold() {
        rig.assign(0, 1);
        rig.records(0, 0, 3);
        assertThat(rig.poll()).isEmpty();
        assertThat(rig.gate.observed().joined()).isTrue();
        assertThat(rig.state(0)).isEqualTo("held -1/-1");
        assertThat(rig.kafka.commits).isEmpty();
    }

    @Test
    void runWithoutReadyStaysHeldAndSaysWhy() {
        rig.assign(0);
        rig.records(0, 0, 3);
        assertThat(rig.run(0, 17).tell()).isEmpty();
        assertThat(rig.part(0).why()).contains("not made ready for epoch 17");
        rig.ready(0, 16, 0).tell();
        assertThat(rig.run(0, 17).tell()).as("ready for another epoch").isEmpty();
        assertThat(rig.state(0)).startsWith("held");
    }

    @Test
    void whatIsNotNamedIsHeldAndAWordAboutAnEarlierAssignmentIsNoWord() {
        rig.running(0);
        rig.run(0, 17);
        rig.kafka.rebalance(List.of());
        rig.kafka.rebalance(List.of(at(0), at(1)));
        rig.tell(); // made before the rebalance
        rig.records(0, 0, 3);
        rig.records(1, 0, 3);
        assertThat(rig.poll()).isEmpty();
        assertThat(rig.part(0).assignment()).isEqualTo(2).as("counted up");
    }

    @Test
    void whatLeaksFromAHeldPartitionIsPutBack() {
        rig.assign(0);
        rig.kafka.resume(List.of(at(0))); // behind the gate's back
        rig.records(0, 0, 3);
        assertThat(rig.poll()).isEmpty();
        assertThat(rig.kafka.position(at(0))).isZero();
    }

    // --- ready and run ------------------------------------------------------------------------------------------------

    @Test
    void readySeeksAndCommitsWithItsMarkOnce() {
        rig.assign(0);
        rig.records(0, 0, 8);
        assertThat(rig.ready(0, 17, 5).tell()).isEmpty();
        rig.ready(0, 17, 5).tell();
        assertThat(rig.state(0)).isEqualTo("ready 5/5");
        assertThat(rig.part(0).epoch()).isEqualTo(17);
        assertThat(rig.kafka.commits).containsExactly("in-0=5 " + MARK);
        assertThat(rig.run(0, 17).tell()).containsExactly("0:5", "0:6", "0:7");
        assertThat(rig.part(0).first()).isEqualTo(5);
        assertThat(rig.part(0).inFlight()).isEqualTo(3);
        assertThat(rig.state(0)).isEqualTo("running 8/5");
    }

    @Test
    void whatIsReadyIsFetchedAheadAndKept() {
        rig.assign(0);
        rig.records(0, 0, 8);
        assertThat(rig.ready(0, 17, 5).tell()).isEmpty();
        assertThat(rig.kafka.position(at(0))).as("fetched").isEqualTo(8);
        assertThat(rig.state(0)).as("and not handed over").isEqualTo("ready 5/5");
        assertThat(rig.poll()).isEmpty();
        assertThat(rig.kafka.paused()).as("one poll is enough").containsExactly(at(0));
        rig.records(0, 8, 2);
        assertThat(rig.run(0, 17).tell()).containsExactly("0:5", "0:6", "0:7");
        assertThat(rig.poll()).containsExactly("0:8", "0:9");
    }

    @Test
    void whatWasFetchedAheadIsFetchedAnewWhenItIsMadeReadyAnew() {
        rig.assign(0);
        rig.records(0, 0, 8);
        rig.ready(0, 17, 5).tell();
        rig.hold(0).tell();
        rig.ready(0, 18, 6).tell();
        rig.records(0, 6, 2); // the mock gives a record once
        rig.poll();
        assertThat(rig.run(0, 18).tell()).containsExactly("0:6", "0:7");
        assertThat(rig.poll()).isEmpty();
    }

    @Test
    void whatWasFetchedAheadIsNotLostWhereTheApplicationPauses() {
        rig.assign(0);
        rig.records(0, 0, 8);
        rig.ready(0, 17, 5).tell();
        rig.consumer.pause(List.of(at(0)));
        assertThat(rig.run(0, 17).tell()).isEmpty();
        rig.hold(0).tell();
        assertThat(rig.state(0)).isEqualTo("held 5/5");
        assertThat(rig.run(0, 17).tell()).as("stopped in the middle of it").isEmpty();
        rig.consumer.resume(List.of(at(0)));
        assertThat(rig.poll()).containsExactly("0:5", "0:6", "0:7");
    }

    @Test
    void whatWasFetchedAheadIsForgottenWhereTheApplicationOrTheAgentGoesElsewhere() {
        rig.assign(0, 1);
        rig.records(0, 0, 8);
        rig.consumer.pause(List.of(at(1)));
        rig.ready(0, 17, 5).ready(1, 17, 0).tell();
        assertThat(rig.kafka.paused()).as("what the application has paused is not fetched").contains(at(1));
        rig.consumer.pause(List.of(at(0)));
        rig.run(0, 17).tell();
        rig.consumer.seek(at(0), 7);
        rig.records(0, 7, 2); // the mock gives a record once
        rig.consumer.resume(List.of(at(0)));
        assertThat(rig.poll()).containsExactly("0:7", "0:8");
        rig.finish(0, 9);
        rig.records(0, 9, 2);
        rig.hold(0).tell();
        rig.ready(0, 18, 9).tell();
        rig.consumer.pause(List.of(at(0)));
        rig.run(0, 18).tell();
        rig.ready(0, 19, 10).tell();
        rig.consumer.resume(List.of(at(0)));
        rig.records(0, 10, 1);
        rig.poll();
        assertThat(rig.run(0, 19).tell()).containsExactly("0:10");
    }

    @Test
    void noMoreIsFetchedAheadThanOnePollGives() {
        rig.assign(0, 1, 2);
        for (int i = 0; i < 3; i++)
            rig.records(i, 0, 3);
        rig.kafka.setMaxPollRecords(4);
        rig.ready(0, 17, 0).ready(1, 17, 0).ready(2, 17, 0).tell();
        rig.poll();
        List<String> first = rig.run(0, 17).run(1, 17).run(2, 17).tell();
        assertThat(first).hasSize(4);
        List<String> all = new ArrayList<>(first);
        for (int i = 0; i < 2; i++)
            all.addAll(rig.poll());
        assertThat(all).containsExactlyInAnyOrder("0:0", "0:1", "0:2", "1:0", "1:1", "1:2", "2:0", "2:1", "2:2");
    }

    @Test
    void whatGoesWhileItIsReadyTakesWithItWhatWasFetchedAhead() {
        rig.assign(0);
        rig.records(0, 0, 8);
        rig.ready(0, 17, 5).tell();
        rig.kafka.rebalance(List.of());
        rig.kafka.rebalance(List.of(at(0)));
        rig.ready(0, 18, 7).tell();
        assertThat(rig.run(0, 18).tell()).as("the mock has given them already").isEmpty();
        assertThat(rig.state(0)).isEqualTo("running 7/7");
    }

    /** A record that nobody can read, or an offset that is gone: whoever runs there hears of it, and nobody before. */
    @Test
    void whatCannotBeFetchedAheadIsToldWhenItRuns() {
        rig.assign(0, 1);
        rig.ready(0, 17, 5).ready(1, 17, 0);
        rig.kafka.setPollException(new OffsetOutOfRangeException(Map.of(at(0), 5L)));
        rig.records(1, 0, 1);
        rig.tell();
        rig.poll();
        assertThat(rig.state(0)).isEqualTo("ready 5/5");
        assertThat(rig.kafka.paused()).contains(at(0));
        rig.run(0, 17).run(1, 17).tell();
        rig.kafka.setPollException(new OffsetOutOfRangeException(Map.of(at(0), 5L)));
        assertThatThrownBy(() -> {
            rig.poll();
            rig.poll();
        }).isInstanceOf(OffsetOutOfRangeException.class);
    }

    @Test
    void aStandbyIsMadeReadyAgainAndAgain() {
        rig.assign(0);
        rig.ready(0, 0, 5, "baton/1 follow").tell();
        rig.hold(0).tell();
        assertThat(rig.state(0)).isEqualTo("held 5/5");
        rig.ready(0, 0, 9, "baton/1 follow").tell();
        rig.ready(0, 17, 9).tell();
        assertThat(rig.kafka.commits).containsExactly("in-0=5 baton/1 follow", "in-0=9 baton/1 follow", "in-0=9 " + MARK);
        assertThat(rig.state(0)).isEqualTo("ready 9/9");
    }

    @Test
    void readyIsNotSaidBeforeKafkaHasAccepted() {
        rig.assign(0);
        rig.kafka.refusal = new TimeoutException("no answer");
        rig.ready(0, 17, 5).tell();
        assertThat(rig.state(0)).isEqualTo("held -1/-1");
        assertThat(rig.part(0).why()).contains("no answer");
        assertThat(rig.kafka.position(at(0))).as("it stands where it stood").isZero();
        rig.kafka.refusal = null;
        pollUntil("ready 5/5");
        assertThat(rig.part(0).why()).isEmpty();
    }

    @Test
    void eachPartitionIsTurnedByItself() {
        rig.assign(0, 1);
        rig.ready(0, 17, 0).ready(1, 17, 0).tell();
        rig.run(0, 17).run(1, 17).tell();
        rig.records(0, 0, 2);
        rig.records(1, 0, 2);
        assertThat(rig.run(1, 17).tell()).containsExactlyInAnyOrder("1:0", "1:1");
        assertThat(rig.state(0)).startsWith("held");
    }

    // --- rule 3: released means finished and committed ----------------------------------------------------------------

    @Test
    void heldIsSaidWhenAllIsFinishedAndCommitted() {
        rig.running(0).records(0, 0, 6);
        assertThat(rig.poll()).hasSize(6);
        rig.hold(0).tell();
        assertThat(rig.gate.observed().revision()).isEqualTo(rig.revision);
        assertThat(rig.state(0)).isEqualTo("draining 6/0");
        rig.finish(0, 4);
        assertThat(rig.part(0).inFlight()).isEqualTo(2);
        rig.finish(0, 6);
        assertThat(rig.state(0)).isEqualTo("held 6/6");
        assertThat(rig.gate.observed().done()).isEqualTo(6);
    }

    @Test
    void holdAndRunBeforeItHasDrainedGoesOnWhereItIs() {
        rig.running(0).records(0, 0, 3);
        rig.poll();
        rig.hold(0).tell();
        rig.run(0, 17).tell();
        rig.records(0, 3, 2);
        assertThat(rig.poll()).containsExactly("0:3", "0:4");
        assertThat(rig.part(0).first()).isZero();
    }

    @Test
    void holdAndRunAfterItHasDrainedGoesOnWhereItStopped() {
        rig.running(0).records(0, 0, 3);
        rig.poll();
        rig.hold(0).tell();
        rig.finish(0, 3);
        rig.records(0, 3, 2);
        assertThat(rig.poll()).isEmpty();
        assertThat(rig.run(0, 17).tell()).containsExactly("0:3", "0:4");
    }

    @Test
    void readyOfARunningPartitionHoldsItFirst() {
        rig.running(0).records(0, 0, 3);
        rig.poll();
        rig.ready(0, 18, 9).tell();
        assertThat(rig.state(0)).isEqualTo("draining 3/0");
        rig.finish(0, 3);
        rig.poll();
        assertThat(rig.state(0)).isEqualTo("ready 9/9");
    }

    @Test
    void runOfAnotherEpochStopsWhatRuns() {
        rig.running(0).run(0, 18).tell();
        assertThat(rig.state(0)).isEqualTo("held 0/0");
        assertThat(rig.part(0).why()).contains("epoch 18");
    }

    @Test
    void theEpochIsThatOfTheRecordsThatAreWorkedOn() {
        BatonEpochs epochs = new BatonEpochs(rig.gates);
        assertThat(epochs.of("in", 0)).isZero();
        rig.running(0).records(0, 0, 3);
        rig.poll();
        rig.ready(0, 18, 9).tell();
        assertThat(epochs.of("in", 0)).as("not before they are finished").isEqualTo(17);
        rig.finish(0, 3);
        rig.poll();
        assertThat(epochs.of("in", 0)).isEqualTo(18);
        assertThat(epochs.of("in", 1)).isZero();
    }

    // --- rule 4: commits, with the mark -------------------------------------------------------------------------------

    @Test
    void everyCommitGetsTheMarkAndNoStaleOneIsLetThrough() {
        rig.running(5).records(0, 5, 5);
        rig.poll();
        rig.kafka.commits.clear();
        rig.finish(0, 8);
        rig.finish(0, 6);  // goes back
        rig.finish(0, 11); // was never handed over
        rig.consumer.commitSync();
        rig.consumer.commitAsync();
        assertThat(rig.kafka.commits).containsExactly("in-0=8 " + MARK, "in-0=10 " + MARK, "in-0=10 " + MARK);
    }

    @Test
    void aHeldPartitionCommitsNothingOfItsOwnAccord() {
        rig.assign(0, 1);
        rig.finish(0, 3); // as Spring does for a new partition
        rig.consumer.commitAsync(Map.of(at(1), new OffsetAndMetadata(2)), (offsets, e) -> assertThat(e).isNull());
        rig.consumer.commitSync();
        assertThat(rig.kafka.commits).isEmpty();
    }

    @Test
    void anAsynchronousCommitCountsWhenItIsAccepted() {
        rig.running(0).records(0, 0, 3);
        rig.poll();
        rig.hold(0).tell();
        rig.kafka.silent = true;
        rig.consumer.commitAsync(Map.of(at(0), new OffsetAndMetadata(3)), null);
        assertThat(rig.state(0)).isEqualTo("draining 3/0");
        rig.kafka.unsaid.forEach(Runnable::run);
        assertThat(rig.state(0)).isEqualTo("held 3/3");
    }

    @Test
    void aWakeUpEndsNoCommitAndIsGivenBackForThePoll() {
        rig.running(0).records(0, 0, 3);
        rig.poll();
        rig.hold(0).tell();
        rig.kafka.wakeUps = 3;
        rig.finish(0, 3);
        assertThat(rig.state(0)).isEqualTo("held 3/3");
        assertThatThrownBy(rig::poll).isInstanceOf(WakeupException.class);
        assertThat(rig.poll()).isEmpty();
    }

    @Test
    void aCommitThatKafkaDidNotTakeIsMadeAgainWhileAPartitionDrains() {
        rig.running(0).records(0, 0, 5);
        rig.poll();
        rig.hold(0).tell();
        rig.kafka.refusal = new TimeoutException("no answer");
        assertThatThrownBy(() -> rig.finish(0, 5)).isInstanceOf(TimeoutException.class); // and the container goes on
        rig.poll();
        assertThat(rig.part(0).why()).contains("no answer");
        rig.kafka.refusal = null;
        pollUntil("held 5/5");
    }

    @Test
    void whatIsFetchedAgainIsNotFinished() {
        rig.running(0).records(0, 0, 5);
        rig.poll();
        rig.kafka.refusal = new TimeoutException("no answer");
        rig.consumer.commitAsync(Map.of(at(0), new OffsetAndMetadata(4)), null);
        rig.kafka.refusal = null;
        rig.consumer.seek(at(0), 2);
        rig.records(0, 2, 1);
        rig.poll();
        rig.hold(0).tell();
        assertThat(rig.kafka.commits).endsWith("in-0=2 " + MARK);
        assertThat(rig.state(0)).isEqualTo("draining 3/2");
    }

    // --- rule 5: a sign of life ---------------------------------------------------------------------------------------

    @Test
    void whatRunsIsCommittedEvenWhereNothingMoves() throws Exception {
        rig.commitEveryMs = 10;
        rig.running(4);
        rig.kafka.commits.clear();
        Thread.sleep(15);
        rig.poll();
        assertThat(rig.kafka.commits).containsExactly("in-0=4 " + MARK);
        rig.records(0, 4, 3);
        rig.poll();
        Thread.sleep(15);
        rig.poll();
        assertThat(rig.kafka.commits).as("what is in flight is not committed").containsOnly("in-0=4 " + MARK);
    }

    @Test
    void whoseCommitsAreNotAcceptedIsFencedUntilTheyAre() throws Exception {
        rig.commitEveryMs = 10;
        rig.fenceMs = 1000;
        rig.running(0);
        rig.kafka.refusal = new TimeoutException("no answer");
        Thread.sleep(1010);
        rig.poll();
        rig.records(0, 0, 3);
        assertThat(rig.poll()).isEmpty();
        assertThat(rig.part(0).why()).contains("no commit for 1000 ms");
        assertThat(new Census(rig.gates).fenced()).isTrue();
        rig.kafka.refusal = null;
        Thread.sleep(15);
        rig.poll();
        assertThat(rig.poll()).hasSize(3);
        assertThat(rig.part(0).why()).isEmpty();
    }

    // --- rule 6: rebalances -------------------------------------------------------------------------------------------

    @Test
    void aPartitionTakenAwayIsCommittedAndItsEntryStaysUntilTheAgentLetsGo() {
        Rig[] self = new Rig[1];
        Rig r = self[0] = new Rig(new Rig.NoOne() {
            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                self[0].finish(0, 3); // the container commits what it had finished
            }
        });
        r.running(0).records(0, 0, 3);
        r.poll();
        r.kafka.rebalance(List.of(at(1)));
        assertThat(r.part(0).assigned()).isFalse();
        assertThat(r.state(0)).isEqualTo("held 3/3");
        r.kafka.rebalance(List.of(at(0), at(1)));
        assertThat(r.gate.observed().parts()).extracting(Observed.Part::assignment).containsExactly(1L, 2L, 3L);
        r.finish(0, 3);
        assertThat(r.kafka.commits).as("late words of the former assignment").hasSize(2);
        r.hold(0).tell();
        assertThat(r.gate.observed().parts()).extracting(Observed.Part::assignment).containsExactly(2L, 3L);
    }

    @Test
    void whatIsInFlightWhenAPartitionGoesIsCountedOn() {
        rig.running(0).records(0, 0, 3);
        rig.poll();
        rig.kafka.rebalance(List.of());
        assertThat(rig.part(0).assigned()).isFalse();
        assertThat(rig.part(0).inFlight()).isEqualTo(3);
        assertThat(rig.state(0)).isEqualTo("draining 3/0");
    }

    @Test
    void aPartitionThatNeverRanLeavesNoEntry() {
        rig.assign(0);
        rig.ready(0, 17, 5).tell();
        rig.kafka.rebalance(List.of());
        assertThat(rig.gate.observed().parts()).isEmpty();
    }

    @Test
    void lostPartitionsAreNotCommitted() {
        rig.running(0).records(0, 0, 3);
        rig.poll();
        rig.kafka.commits.clear();
        rig.kafka.listener.onPartitionsLost(List.of(at(0)));
        rig.finish(0, 3);
        assertThat(rig.kafka.commits).isEmpty();
        assertThat(rig.part(0).assigned()).isFalse();
    }

    @Test
    void anEagerRebalanceHoldsEverythingAgain() {
        rig.assign(0, 1);
        rig.ready(0, 17, 0).ready(1, 17, 0).tell();
        rig.run(0, 17).run(1, 17).tell();
        rig.kafka.listener.onPartitionsRevoked(List.of(at(0), at(1)));
        rig.kafka.listener.onPartitionsAssigned(List.of(at(0), at(1)));
        rig.records(0, 0, 2);
        assertThat(rig.poll()).isEmpty();
        assertThat(rig.part(0).assignment()).isEqualTo(3);
    }

    @Test
    void aCooperativeRebalanceLeavesTheOthersRunning() {
        rig.running(0).kafka.rebalance(List.of(at(0), at(1)));
        rig.records(0, 0, 2);
        rig.records(1, 0, 2);
        assertThat(rig.poll()).containsExactly("0:0", "0:1");
    }

    // --- rule 7: leave ------------------------------------------------------------------------------------------------

    @Test
    void leaveDrainsAndThenLeavesTheGroup() {
        rig.running(0).records(0, 0, 2);
        rig.poll();
        rig.leave = true;
        rig.run(0, 17).tell();
        assertThat(rig.gate.observed().left()).isFalse();
        assertThat(rig.state(0)).startsWith("draining");
        rig.finish(0, 2);
        rig.poll();
        assertThat(rig.gate.observed().left()).isTrue();
        assertThat(rig.kafka.subscription()).isEmpty();
        assertThat(rig.poll()).as("the container polls on").isEmpty();
    }

    @Test
    void aClosedConsumerHasLeftAndItsSuccessorGetsItsNumber() {
        rig.running(0);
        rig.consumer.close();
        assertThat(rig.gate.observed().left()).isTrue();
        Consumer<String, String> next = Gate.before(new Rig.Kafka(), rig.gates, Map.of());
        next.subscribe(List.of("in"));
        assertThat(rig.gates.all()).hasSize(1);
        assertThat(rig.gates.get(0).instance).isNotEqualTo(rig.gate.instance);
    }

    // --- traps of the containers --------------------------------------------------------------------------------------

    @Test
    void springsPausesAndBatonsHoldsAreKeptApart() {
        rig.assign(0, 1);
        rig.consumer.pause(List.of(at(0)));
        assertThat(rig.consumer.paused()).containsExactly(at(0));
        rig.consumer.resume(List.of(at(0), at(1)));
        assertThat(rig.consumer.paused()).isEmpty();
        assertThat(rig.kafka.paused()).as("resume lifts no hold").containsExactlyInAnyOrder(at(0), at(1));
        rig.consumer.pause(List.of(at(0)));
        rig.ready(0, 17, 0).tell();
        rig.run(0, 17).tell();
        assertThat(rig.kafka.paused()).as("run lifts no pause of the application").contains(at(0));
        assertThat(rig.state(0)).startsWith("running");
        rig.consumer.resume(List.of(at(0)));
        assertThat(rig.kafka.paused()).containsExactly(at(1));
    }

    @Test
    void anErrorHandlerMayGoBackToTheRecordThatFailed() {
        rig.running(0).records(0, 0, 5);
        rig.poll();
        rig.finish(0, 2);
        rig.hold(0).tell();
        rig.consumer.seek(at(0), 2);
        assertThat(rig.state(0)).as("nothing is in flight any more").isEqualTo("held 2/2");
    }

    @Test
    void aGapThatIsSkippedIsCommittedBeforeHeldIsSaid() {
        rig.running(0).records(0, 0, 3);
        rig.poll();
        rig.finish(0, 2);
        rig.hold(0).tell();
        rig.consumer.seek(at(0), 7); // the record at 2 was recovered, and 3 to 6 are gone
        rig.finish(0, 3);
        rig.poll();
        assertThat(rig.state(0)).isEqualTo("held 7/7");
        assertThat(rig.kafka.commits).endsWith("in-0=7 " + MARK);
    }

    @Test
    void otherSeeksAreIgnored() {
        rig.assign(0, 1);
        rig.ready(0, 17, 5).tell();
        rig.consumer.seek(at(0), 0);
        rig.consumer.seekToBeginning(List.of(at(0)));
        rig.consumer.seekToEnd(List.of(at(0)));
        assertThat(rig.kafka.position(at(0))).isEqualTo(5);
        rig.run(0, 17).tell();
        rig.consumer.seek(at(0), new OffsetAndMetadata(4)); // behind what is committed
        assertThat(rig.kafka.position(at(0))).isEqualTo(5);
    }

    @Test
    void theContainerGetsItsTurnWhileSomethingDrains() {
        rig.running(0).records(0, 0, 1);
        rig.poll();
        rig.hold(0).tell();
        long nanos = System.nanoTime();
        rig.consumer.poll(Duration.ofSeconds(30)); // as long as AckMode TIME has a commit outstanding
        assertThat(System.nanoTime() - nanos).isLessThan(5_000_000_000L);
    }

    @Test
    void aWakeUpIsTheContainers() {
        rig.running(0);
        rig.consumer.wakeup();
        assertThatThrownBy(rig::poll).isInstanceOf(WakeupException.class);
        rig.leave = true;
        rig.tell();
        rig.consumer.wakeup();
        long nanos = System.nanoTime();
        rig.consumer.poll(Duration.ofSeconds(30)); // and ends the rest of one that has left
        assertThat(System.nanoTime() - nanos).isLessThan(5_000_000_000L);
    }

    @Test
    void transactionsAndTheClientsOwnCommittingAreRefused() {
        assertThatThrownBy(rig.consumer::groupMetadata).hasMessageContaining("does not support transactions");
        Consumer<String, String> own = Gate.before(new Rig.Kafka(), rig.gates, Map.of("enable.auto.commit", "true"));
        assertThatThrownBy(() -> own.subscribe(List.of("in"))).hasMessageContaining("enable.auto.commit=false");
    }

    @Test
    void aGroupThatIsNotNamedIsLeftAlone() {
        Gates gates = new Gates(new BatonProperties(true, "127.0.0.1", 0, null, Set.of("another")));
        Rig.Kafka kafka = new Rig.Kafka();
        Consumer<String, String> consumer = Gate.before(kafka, gates, Map.of());
        consumer.subscribe(List.of("in"), new Rig.NoOne());
        assertThat(kafka.listener).isInstanceOf(Rig.NoOne.class);
        assertThat(gates.all()).isEmpty();
    }

    @Test
    void theAssignorIsNamedAsTheClientNamesIt() {
        assertThat(assignor(Map.of())).isEqualTo("range");
        assertThat(assignor(Map.of("group.protocol", "CONSUMER"))).isEqualTo("consumer");
        assertThat(assignor(Map.of("partition.assignment.strategy",
                "org.apache.kafka.clients.consumer.CooperativeStickyAssignor,x.Y"))).isEqualTo("cooperative-sticky");
        assertThat(assignor(Map.of("partition.assignment.strategy", List.of(Rig.class)))).isEqualTo("io.baton.spring.Rig");
    }

    private static String assignor(Map<String, Object> config) {
        Gates gates = new Gates(new BatonProperties(true, "127.0.0.1", 0, null, Set.of()));
        Gate.before(new Rig.Kafka(), gates, config).subscribe(List.of("in"));
        return gates.get(0).observed().assignor();
    }

    @SuppressWarnings("unchecked")
    private Map<String, Object> desired() {
        return (Map<String, Object>) rig.gate.document().get("desired");
    }

    private void pollUntil(String state) {
        long end = System.nanoTime() + 10_000_000_000L;
        while (!rig.state(0).equals(state) && System.nanoTime() < end)
            rig.poll();
        assertThat(rig.state(0)).isEqualTo(state);
    }
}
