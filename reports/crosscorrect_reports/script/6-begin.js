document.querySelectorAll(".js").forEach((element) => { element.hidden = false; });
theme();
finder();
linked();
heat();
problemView();
addEventListener("hashchange", go);
addEventListener("beforeprint", () => document.querySelectorAll("details.suite").forEach((suite) => { suite.open = true; }));
go();
