document.title = 'gsup';
