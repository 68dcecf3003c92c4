"""What people are told when, by the whole program, of what a K8sGPT operator does.

The operator analyses at 0 s, 30 s, 60 s …; `AEGIS_GROUP_WAIT` is 10 s and `AEGIS_RESOLVE_HOLD` 90 s,
as they are by default.
"""

from tests.acceptance.timeline import Timeline
from tests.fakes.small_cluster import Problem
from tests.unit.cluster.objects import metadata


def test_two_posts_of_one_problem_are_one_message(timeline: Timeline) -> None:
    timeline.cluster.deploy("shop/api", service=False)
    timeline.at("1s").fails("shop/api", "crash")
    timeline.expect.root_message("Deployment shop/api").between("40s", "45s")
    timeline.run("20m")
    # Each of the two Results, Pod and Deployment, was posted twice.
    assert [one.posts for one in timeline.operators] == [4]
    assert timeline.own_sink_posts == 4


def test_five_results_of_one_sick_deployment_are_one_incident(timeline: Timeline) -> None:
    timeline.cluster.deploy("shop/api", "n1", "n2", "n3")
    timeline.at("1s").fails("shop/api", "crash")
    timeline.expect.root_message("Deployment shop/api").between("40s", "45s")
    timeline.run("20m")
    [incident] = timeline.incidents
    assert {ref["kind"] for ref in incident["objects"]} == {"Pod", "Deployment", "Service"}
    assert len(incident["objects"]) == 5
    assert timeline.own_sink_posts == 10


def test_texts_that_change_and_change_back_are_no_news(timeline: Timeline) -> None:
    timeline.cluster.deploy("shop/api")
    timeline.at("1s").fails("shop/api", "crash")
    for minute in range(2, 60, 2):
        timeline.at(f"{minute}m").fails("shop/api", "back-off" if minute % 4 else "crash")
    timeline.expect.root_message("Deployment shop/api").between("40s", "45s")
    timeline.run("1h")
    assert timeline.own_sink_posts >= 6 + 29


def test_an_update_that_was_lost_is_found_by_the_reconciler(timeline: Timeline) -> None:
    timeline.cluster.deploy("shop/api", service=False)
    timeline.at("1s").fails("shop/api", "crash")
    timeline.at("10m").fails("shop/api", "config")
    timeline.at("10m").sink_is_shielded()
    timeline.at("12m").sink_is_reached()
    timeline.expect.root_message("Deployment shop/api").between("40s", "45s")
    timeline.expect.thread("Deployment shop/api", "changed").between("10m", "10m40s")
    timeline.run("30m")
    assert timeline.operators[0].lost
    errors = timeline.message("Deployment shop/api")["errors"]
    assert 'configmap "api-config" not found' in errors


def test_what_is_deleted_and_back_within_the_hold_is_no_message(timeline: Timeline) -> None:
    timeline.cluster.deploy("shop/api", service=False)
    timeline.cluster.deploy("shop/web", service=False)
    timeline.at("1s").fails("shop/api", "crash")
    timeline.at("1s").fails("shop/web", "image")
    timeline.at("10m1s").recovers("shop/api")
    timeline.at("10m40s").fails("shop/api", "crash")
    timeline.expect.root_message("Deployment shop/api").between("40s", "45s")
    timeline.expect.root_message("Deployment shop/web").between("40s", "45s")
    timeline.run("30m")


def test_what_is_back_later_is_reopened_in_the_same_thread(timeline: Timeline) -> None:
    timeline.cluster.deploy("shop/api", service=False)
    timeline.at("1s").fails("shop/api", "crash")
    timeline.at("10m1s").recovers("shop/api")
    timeline.at("20m1s").fails("shop/api", "crash")
    timeline.expect.root_message("Deployment shop/api").between("40s", "45s")
    timeline.expect.thread("Deployment shop/api", "resolved").between("12m", "12m10s")
    timeline.expect.thread("Deployment shop/api", "reopened").between("20m30s", "20m45s")
    timeline.run("30m")
    assert len(timeline.slack.channel.roots) == 1


def test_all_results_of_one_k8sgpt_that_vanish_are_held_and_said_so(timeline: Timeline) -> None:
    names = ("api", "web", "cart")
    for name in names:
        timeline.cluster.deploy(f"shop/{name}", service=False)
        timeline.at("1s").fails(f"shop/{name}", "crash")
        timeline.expect.root_message(f"Deployment shop/{name}").between("40s", "50s")
    timeline.at("10m").does(timeline.delete_crs)
    timeline.run("40m")
    for name in names:
        incident = timeline.message(f"Deployment shop/{name}")
        assert incident["state"] == "open"
        assert "held" in [entry["what"] for entry in incident["history"]]
    assert "vanished at once, 3 incidents are held open" in timeline.ready["results"]


def test_an_analyzer_that_fails_for_a_while_ends_nothing(timeline: Timeline) -> None:
    for name in ("api", "web", "cart"):
        timeline.cluster.deploy(f"shop/{name}", service=False)
        timeline.at("1s").fails(f"shop/{name}", "crash")
        timeline.expect.root_message(f"Deployment shop/{name}").between("40s", "50s")
    timeline.at("10m").analyzers_fail("Pod", "Deployment")
    timeline.at("25m").analyzers_work_again()
    timeline.run("1h")
    assert timeline.own_sink_posts == 24


def test_a_node_that_goes_down_is_one_message_that_lists_what_follows(timeline: Timeline) -> None:
    names = ("api", "web", "cart")
    for name in names:
        timeline.cluster.deploy(f"shop/{name}", "n1", "n2")
    timeline.at("1s").node_goes_down("n2")
    timeline.at("20m").node_comes_back("n2")
    timeline.expect.root_message("Node n2").between("40s", "45s")
    timeline.expect.thread("Node n2", "resolved").between("21m", "22m30s")
    timeline.run("1h")
    for name in names:
        incident = timeline.message(f"Deployment shop/{name}")
        assert "muted" in [entry["what"] for entry in incident["history"]]
        assert incident["state"] == "resolved"


def test_the_followers_of_a_node_are_visible_while_it_is_down(timeline: Timeline) -> None:
    names = ("api", "web", "cart")
    for name in names:
        timeline.cluster.deploy(f"shop/{name}", "n1", "n2")
    timeline.at("1s").node_goes_down("n2")
    timeline.expect.root_message("Node n2").between("40s", "45s")
    timeline.run("10m")
    told = timeline.text_of("Node n2")
    for name in names:
        incident = timeline.message(f"Deployment shop/{name}")
        assert incident["muted"]["kind"] == "incident"
        assert f"shop/{name}" in told


def test_a_rollout_with_other_pod_names_is_the_same_incident(timeline: Timeline) -> None:
    timeline.cluster.deploy("shop/api", "n1", "n2")
    timeline.at("1s").fails("shop/api", "crash")
    timeline.at("10m").rolls_out("shop/api", "crash")
    timeline.at("20m").rolls_out("shop/api", "crash")
    timeline.at("30m").rolls_out("shop/api")
    timeline.expect.root_message("Deployment shop/api").between("40s", "45s")
    timeline.expect.thread("Deployment shop/api", "resolved").between("31m", "33m")
    timeline.run("1h")
    assert len(timeline.incidents) == 1


def test_a_sink_that_is_restarted_midway_tells_all_and_nothing_twice(timeline: Timeline) -> None:
    for name in ("api", "web"):
        timeline.cluster.deploy(f"shop/{name}")
    timeline.at("1s").fails("shop/api", "crash")
    timeline.at("33s").sink_is_restarted(down="40s")  # noted, and nobody told yet
    timeline.at("50s").fails("shop/web", "image")  # while it is away
    timeline.at("10m").sink_is_restarted(down="5m")
    timeline.at("11m").recovers("shop/api")  # while it is away
    timeline.expect.root_message("Deployment shop/api").between("73s", "80s")
    timeline.expect.root_message("Deployment shop/web").between("80s", "2m30s")
    timeline.expect.thread("Deployment shop/api", "resolved").between("15m", "18m")
    timeline.run("40m")


def test_while_slack_is_away_nothing_is_lost_and_then_told_once(timeline: Timeline) -> None:
    timeline.cluster.deploy("shop/api")
    timeline.cluster.deploy("shop/web")
    timeline.at("1s").slack_goes_away()
    timeline.at("1s").fails("shop/api", "crash")
    timeline.at("5m").fails("shop/web", "crash")
    timeline.at("20m").slack_comes_back()
    timeline.expect.root_message("Deployment shop/api").between("20m", "25m30s")
    timeline.expect.root_message("Deployment shop/web").between("20m", "25m30s")
    timeline.run("1h")


def test_a_sink_behind_503_stops_the_operator_and_the_reconciler_completes(
    timeline: Timeline,
) -> None:
    for name in ("api", "web", "cart"):
        timeline.cluster.deploy(f"shop/{name}", service=False)
        timeline.at("1s").fails(f"shop/{name}", "crash")
        timeline.expect.root_message(f"Deployment shop/{name}").between("40s", "50s")
    timeline.at("0s").sink_is_shielded()
    timeline.run("10m")
    [operator] = timeline.operators
    # Each pass ended at the first post.
    assert operator.posts == operator.refused > 5


def test_two_objects_that_share_a_result_do_not_flap(timeline: Timeline) -> None:
    timeline.cluster.kept += [
        {
            "kind": "Ingress",
            "metadata": metadata("front"),
            "spec": {
                "rules": [{"http": {"paths": [{"backend": {"service": {"name": "old"}}}]}}],
            },
        },
        {"kind": "Service", "metadata": metadata("front"), "spec": {"selector": {"app": "front"}}},
    ]
    timeline.cluster.more += [
        Problem(
            "Ingress", "shop/front", ("Ingress uses the service shop/old which does not exist.",)
        ),
        Problem("Service", "shop/front", ("Service has no endpoints, expected label app=front",)),
    ]
    timeline.expect.root_message("Ingress shop/front").between("10s", "5m")
    timeline.expect.root_message("Service shop/front").between("10s", "5m")
    timeline.run("40m")
    assert timeline.own_sink_posts > 20


def test_a_deployment_and_its_service_that_share_a_result_are_one_quiet_incident(
    timeline: Timeline,
) -> None:
    timeline.cluster.deploy("shop/api", "n1", "n2").service_end = ""
    timeline.at("1s").fails("shop/api", "crash")
    timeline.at("2h1s").recovers("shop/api")
    timeline.expect.root_message("Deployment shop/api").between("40s", "45s")
    # It is worse than it looked when the Deployment is there for the first time.
    timeline.expect.thread("Deployment shop/api", "changed").between("1m30s", "1m35s")
    timeline.expect.thread("Deployment shop/api", "resolved").between("2h2m", "2h2m10s")
    timeline.run("3h")
    assert timeline.own_sink_posts > 100


def test_a_workload_that_was_told_of_before_follows_from_a_node_too(timeline: Timeline) -> None:
    for name in ("api", "web"):
        timeline.cluster.deploy(f"shop/{name}", "n1", "n2")
    timeline.at("1s").fails("shop/api", "crash")
    timeline.at("10m1s").recovers("shop/api")
    timeline.at("20m1s").node_goes_down("n2")
    timeline.at("40m1s").node_comes_back("n2")
    timeline.expect.root_message("Deployment shop/api").between("40s", "45s")
    timeline.expect.thread("Deployment shop/api", "resolved").between("11m", "13m")
    timeline.expect.root_message("Node n2").between("20m40s", "20m45s")
    timeline.expect.thread("Node n2", "resolved").between("41m", "43m30s")
    timeline.run("1h")
    assert {incident["state"] for incident in timeline.incidents} == {"resolved"}


def test_a_sink_that_only_a_secret_names_posts_each_pass_and_is_heard_once(
    timeline: Timeline,
) -> None:
    timeline.cluster.deploy("shop/api", service=False)
    timeline.at("0s").does(lambda: setattr(timeline.operators[0], "webhook", ""))
    timeline.at("1s").fails("shop/api", "crash")
    timeline.at("20m10s").recovers("shop/api")
    timeline.expect.root_message("Deployment shop/api").between("40s", "45s")
    timeline.expect.thread("Deployment shop/api", "resolved").between("22m", "22m10s")
    timeline.run("30m")
    assert timeline.operators[0].posts == 2 * 40


def test_bursts_of_one_post_that_a_stale_cache_makes_are_one_message(timeline: Timeline) -> None:
    timeline.cluster.deploy("shop/api", service=False)
    timeline.at("0s").does(lambda: setattr(timeline.operators[0], "conflicts", 8))
    timeline.at("1s").fails("shop/api", "crash")
    timeline.expect.root_message("Deployment shop/api").between("40s", "45s")
    timeline.run("10m")
    [operator] = timeline.operators
    assert (operator.conflicts, operator.posts) == (0, 2 + 8)


def test_a_result_that_cannot_be_created_stops_all_posts_and_the_reconciler_tells_the_rest(
    timeline: Timeline,
) -> None:
    for name in ("api", "web"):
        timeline.cluster.deploy(f"shop/{name}", service=False)
        timeline.at("1s").fails(f"shop/{name}", "crash")
        timeline.expect.root_message(f"Deployment shop/{name}").between("10s", "30s")
    timeline.cluster.more.append(Problem("EKS", "AWS/EKS", ("no credentials",)))
    timeline.run("10m")
    assert timeline.operators[0].posts == 0


def test_what_two_crs_report_is_one_incident_until_neither_does(timeline: Timeline) -> None:
    timeline.crs = ("main", "second")
    for name in ("api", "web"):
        timeline.cluster.deploy(f"shop/{name}", service=False)
        timeline.at("1s").fails(f"shop/{name}", "crash")
        timeline.expect.root_message(f"Deployment shop/{name}").between("40s", "45s")
    timeline.at("10m").does(lambda: timeline.operators[1].delete())
    timeline.at("20m1s").recovers("shop/api")
    timeline.expect.thread("Deployment shop/api", "resolved").between("22m", "22m10s")
    timeline.run("2h")
    assert timeline.message("Deployment shop/web")["state"] == "open"
    assert "vanished" not in timeline.ready["results"]


def test_one_of_two_crs_that_is_deleted_holds_what_it_alone_reported(timeline: Timeline) -> None:
    timeline.crs, timeline.only = ("main", "second"), {"main": "shop/", "second": "pay/"}
    for path in ("shop/api", "shop/web", "pay/api", "pay/web"):
        timeline.cluster.deploy(path, service=False)
        timeline.at("1s").fails(path, "crash")
        timeline.expect.root_message(f"Deployment {path}").between("40s", "50s")
    timeline.at("10m").does(lambda: timeline.operators[1].delete())
    timeline.at("12m").recovers("pay/web")
    timeline.at("20m1s").recovers("shop/api")
    timeline.expect.thread("Deployment shop/api", "resolved").between("22m", "22m10s")
    # Nobody reports it any more; after an hour its objects decide.
    timeline.expect.thread("Deployment pay/web", "resolved").between("1h10m", "1h11m")
    timeline.run("90m")
    assert timeline.message("Deployment pay/api")["state"] == "open"
