// A passkey is made or used: https://www.w3.org/TR/webauthn-3/
// A form that names where its challenge comes from is shown where the browser can do it, and sent with the answer.
"use strict";
for (const form of document.querySelectorAll("form[data-challenge]")) {
  const asked = window.PublicKeyCredential;
  if (!asked || !asked.parseCreationOptionsFromJSON || !asked.parseRequestOptionsFromJSON) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const failed = form.querySelector("[role=alert]");
    failed.hidden = true;
    try {
      const said = await fetch(form.dataset.challenge, {
        method: "POST", body: new URLSearchParams(new FormData(form)), credentials: "same-origin",
      });
      if (!said.ok) throw new Error(String(said.status));
      const options = await said.json();
      const answer = form.dataset.does === "make"
        ? await navigator.credentials.create({ publicKey: asked.parseCreationOptionsFromJSON(options) })
        : await navigator.credentials.get({ publicKey: asked.parseRequestOptionsFromJSON(options) });
      form.elements.credential.value = JSON.stringify(answer.toJSON());
      form.submit();
    } catch {
      failed.hidden = false;
    }
  });
}
